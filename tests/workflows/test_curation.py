"""The steps of curation, and when a corpus is made again."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.curation.config import CurationConfig, Source
from tests.workflows.stage_suite import require_inputs_recorded, run_in, steps_of
from workflows import curation


@pytest.mark.parametrize("step", steps_of(curation))
def test_a_step_has_its_kind_and_records_all_its_inputs(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_inputs_recorded(curation, step, tmp_path, monkeypatch)


def test_a_corpus_is_made_again_when_a_source_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts: list[Mapping[str, str]] = []

    async def obtain(*arguments: Any, **options: Any) -> None:
        facts.append(options["facts"])

    monkeypatch.setattr(curation, "obtain", obtain)
    source = tmp_path / "mine.txt"
    config = CurationConfig(sources=(Source(uri=str(source), domain="mine", weight=1.0),))
    for text in ("words", "words", "other words"):
        source.write_text(text)
        asyncio.run(curation.obtain_corpus(run_in(tmp_path), config))
    first, same, changed = facts
    assert first == same != changed
