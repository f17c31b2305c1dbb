"""Folders of recipes with code of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.extensions import Extension, gathered

FILTERS = '''"""Filters."""

import json
from pathlib import Path

import words
from rules.shares import limit


class NoAds:
    """Refuses advertisements."""

    def __init__(self, max_share: float = 0.2) -> None:
        self.max_share = limit(max_share)
        self.ads = set(json.loads(Path(__file__).with_name("ads.json").read_text()))

    def refusal(self, document):
        """Too many words are advertisements'."""
        own = words.of(document)
        return "advertisement" if sum(word in self.ads for word in own) > self.max_share * len(own) else None
'''
FILES = {
    "filters.py": FILTERS,
    "words.py": "def of(text):\n    # a reason\n    return text.split()\n",
    "rules/shares.py": "from . import bounds\n\n\ndef limit(share):\n    return min(share, bounds.LARGEST)\n",
    "rules/bounds.py": "LARGEST = 0.5\n",
    "ads.json": '["buy", "now"]',
    "beside.py": "raise RuntimeError('nobody imports this')\n",
    "notes.txt": "nobody names this\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a filter that imports modules beside it and reads a file."""
    return write(tmp_path / "mine", FILES)


def write(folder: Path, files: dict[str, str]) -> Path:
    """The folder with these files in it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def of(tmp_path: Path) -> Callable[..., Extension]:
    """An extension of one file with this text."""

    def make(text: str, name: str = "Own", **values: object) -> Extension:
        write(tmp_path / "of", {"own.py": text})
        return gathered(Extension(code=f"own.py:{name}", values=values), tmp_path / "of")

    return make
