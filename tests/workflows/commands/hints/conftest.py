"""A run whose corpus and conversations are small."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.settings import Settings
from tests.components.tokenizer.conftest import CorpusWriter
from tests.workflows.conftest import published
from workflows.steps.journal import Journal, open_journal

MakeRun = Callable[..., Journal]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An empty home."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def make_run(settings: Settings, tmp_path: Path) -> MakeRun:
    """Make a run with a corpus of a domain with a larger share and of one with a smaller, and with held-out messages."""

    def make(*steps: str, domain: str = "law", text: str = "Be it enacted.", messages: tuple[str, ...] = ()) -> Journal:
        corpus = CorpusWriter(tmp_path / "corpus")
        corpus.documents("validation", domain, [text])
        corpus.documents("validation", "other", ["Something else."])
        corpus.mixture({"other": 0.3, domain: 0.7})
        (tmp_path / "conversations").mkdir()
        rows = ({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]} for text in messages)
        (tmp_path / "conversations" / "validation.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        journal = open_journal(settings.runs)
        directories = {"curation": corpus.directory, "conversations": tmp_path / "conversations"}
        for step in steps:
            artifact = published(settings, step, directories.get(step, corpus.directory))
            journal.write("made", step=step, **artifact.pinned)
        return journal

    return make
