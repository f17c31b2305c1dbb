"""The curve of deduplication by its command, on a user's own dumps."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.commands import artifact_directory, as_json, ran

pytestmark = [pytest.mark.ray, pytest.mark.slow]

RECIPE = """
from dataclasses import replace
from components.curation.config import Source
from workflows.recipes.tiny import tiny

def mine():
    base = tiny()
    sources = tuple(Source(uri=f"dump-{n}.jsonl", domain="mine", weight=1.0, name=f"dump-{n}") for n in range(3))
    return replace(base, name="mine", curation=replace(base.curation, sources=sources))
"""


def test_one_command_measures_the_curve_and_the_next_finds_it(tmp_path: Path) -> None:
    for dump in range(3):
        texts = [" ".join(f"word{(number * 7919 + i * (number + 3)) % 5003} of" for i in range(80)) for number in range(20)]
        own = [
            f"{text} and dump {dump}" if number % 2 else f"{dump} {text}".replace("of", f"of{dump}")
            for number, text in enumerate(texts)
        ]
        (tmp_path / f"dump-{dump}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in own))
    (tmp_path / "mine.py").write_text(RECIPE)
    home = tmp_path / "home"
    assert "together" in ran("dedup-curve", "mine.py", home=home)
    manifest = artifact_directory(home, "deduplication_curve") / "manifest.json"
    said = as_json("dedup-curve", "mine.py", home=home)
    assert [point["removed_documents"] for point in said["points"]] == [0, 10, 20]
    assert all(Path(path).is_file() for path in said["files"].values())
    assert json.loads(manifest.read_text())["content"]["figures"]["removal_rate"] == said["removal_rate"] == 20 / 60
