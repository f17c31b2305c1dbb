"""The steps of alignment, and when conversations and pairs are made again."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from components.artifacts import Checkpoint, Conversations, Corpus
from tests.workflows.stage_suite import require_inputs_recorded, run_in, steps_of
from workflows import alignment


@pytest.mark.parametrize("step", steps_of(alignment))
def test_a_step_has_its_kind_and_records_all_its_inputs(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_inputs_recorded(alignment, step, tmp_path, monkeypatch)


def test_conversations_and_pairs_are_made_again_when_a_file_of_the_user_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts: list[Mapping[str, str]] = []

    async def obtain(*arguments: Any, **options: Any) -> None:
        facts.append(options["facts"])

    monkeypatch.setattr(alignment, "obtain", obtain)
    run, path = run_in(tmp_path), tmp_path / "mine.jsonl"
    corpus, conversations, checkpoint = (kind(uri="u", digest="d") for kind in (Corpus, Conversations, Checkpoint))
    for text in ("one", "one", "two"):
        path.write_text(json.dumps({"text": text}) + "\n")
        gathered = ConversationsConfig(distributions=(), sources=(str(path),))
        paired = PreferencePairsConfig(sources=(str(path),))
        asyncio.run(alignment.obtain_conversations(run, gathered, corpus))
        asyncio.run(alignment.obtain_preference_pairs(run, paired, conversations, checkpoint))
    assert facts[:2] == facts[2:4]
    assert all(before != after for before, after in zip(facts[2:4], facts[4:], strict=True))
