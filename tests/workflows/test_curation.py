"""The steps of curation, and when a corpus is made again."""

from pathlib import Path

import pytest

from components.curation.config import CurationConfig, Source
from tests.workflows.stage_suite import require_inputs_taken, steps_of
from workflows import curation


@pytest.mark.parametrize("step", steps_of(curation))
def test_the_component_of_a_step_takes_its_inputs(step: str, tmp_path: Path) -> None:
    require_inputs_taken(curation, step, tmp_path)


@pytest.mark.parametrize("step", ["curation", "deduplication_curve"])
def test_a_corpus_and_a_curve_are_made_again_when_a_source_has_changed(step: str, tmp_path: Path) -> None:
    facts, source = [], tmp_path / "mine.txt"
    config = CurationConfig(sources=(Source(uri=str(source), domain="mine", weight=1.0),))
    for text in ("words", "words", "other words"):
        source.write_text(text)
        facts.append(steps_of(curation)[step].facts(config))
    first, same, changed = facts
    assert first == same != changed
