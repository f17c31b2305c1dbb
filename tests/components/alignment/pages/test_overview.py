"""What the page of conversations and pairs counts."""

from pathlib import Path

import pytest

from components.alignment.pages.overview import SAMPLES, conversations_overview, pairs_overview
from components.alignment.records import write_records
from components.artifacts import SPLITS, Conversation, PreferencePair
from components.errors import DamagedArtifact


def conversation(number: int, turns: int = 1, task: str = "user") -> Conversation:
    """A conversation whose answers have 16 characters each."""
    messages = [{"role": role, "content": text} for role, text in (("user", "why?"), ("assistant", "a" * 16))] * turns
    common = {"source": "s", "uri": f"s#{number}", "licence": "MIT", "group": f"g{number // 2}"}
    return Conversation(id=str(number), messages=messages, task=task, **common)


def pair(number: int, chosen: int, rejected: int, kind: str = "user") -> PreferencePair:
    """A pair with answers of these lengths."""
    return PreferencePair(
        id=str(number), kind=kind, prompt="p", chosen="c" * chosen, rejected="r" * rejected, source="s", group=f"g{number}"
    )


def test_conversations_are_counted_by_split_task_turns_and_length(tmp_path: Path) -> None:
    train = [conversation(n, turns=1 + n % 3, task="user" if n % 2 else "describe") for n in range(20)]
    write_records(Conversation, "conversations", {"train": train, "validation": [conversation(99)]}, tmp_path)
    overview = conversations_overview(tmp_path)
    assert overview.counts == (("train", "describe", 10), ("train", "user", 10), ("validation", "user", 1))
    assert (overview.total, overview.groups) == (21, 11)
    assert overview.turns == ((1, 8), (2, 7), (3, 6))
    prompts, answers = overview.lengths
    assert (answers.labels, answers.counts, answers.median, answers.longest) == (("16", "32"), (8, 13), 32.0, 48)
    assert (prompts.title, sum(prompts.counts)) == ("Prompt: characters", 21)
    assert len(overview.conversations) == 2 * SAMPLES
    assert overview.omissions.rows == ()


def test_chosen_answers_are_compared_with_rejected_ones_by_kind(tmp_path: Path) -> None:
    rows = [pair(1, 10, 5), pair(2, 10, 20), pair(3, 10, 5), pair(4, 1, 2, kind="right-vs-other")]
    write_records(PreferencePair, "preference_pairs", {"train": rows, "validation": []}, tmp_path)
    other, user = pairs_overview(tmp_path).answers
    assert (other.kind, other.pairs, other.chosen_longer) == ("right-vs-other", 1, 0.0)
    assert (user.pairs, user.chosen_characters, user.rejected_characters) == (3, 10.0, 5.0)
    assert user.chosen_longer == pytest.approx(2 / 3)


def test_an_artifact_without_its_table_or_with_a_damaged_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedArtifact, match=r"conversations\.parquet: missing or not a Parquet file"):
        conversations_overview(tmp_path)
    write_records(Conversation, "conversations", {split: [conversation(1)] for split in SPLITS}, tmp_path)
    (tmp_path / "train.jsonl").write_text("{")
    with pytest.raises(DamagedArtifact, match=r"train\.jsonl: missing or damaged"):
        conversations_overview(tmp_path)
