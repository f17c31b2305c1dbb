"""The steps of alignment, and when conversations and pairs are made again."""

import json
from pathlib import Path

import pytest

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from tests.workflows.stage_suite import require_inputs_taken, steps_of
from workflows import alignment


@pytest.mark.parametrize("step", steps_of(alignment))
def test_the_component_of_a_step_takes_its_inputs(step: str, tmp_path: Path) -> None:
    require_inputs_taken(alignment, step, tmp_path)


@pytest.mark.parametrize("step", ["conversations", "preference_pairs"])
def test_conversations_and_pairs_are_made_again_when_a_file_of_the_user_has_changed(step: str, tmp_path: Path) -> None:
    facts, path = [], tmp_path / "mine.jsonl"
    gathered, paired = ConversationsConfig(distributions=(), sources=(str(path),)), PreferencePairsConfig(sources=(str(path),))
    for text in ("one", "one", "two"):
        path.write_text(json.dumps({"text": text}) + "\n")
        facts.append(steps_of(alignment)[step].facts(gathered if step == "conversations" else paired))
    first, same, changed = facts
    assert first == same != changed
