"""Preference pairs: the right words chosen, in the conversations' split."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.alignment.config import PreferencePairsConfig
from components.alignment.conversations import make_conversations
from components.alignment.preference_pairs import make_preference_pairs
from components.artifacts import Omissions
from components.errors import ConfigError, SourceError
from components.ports import RecordedMetrics, SilentMetrics
from tests.components.alignment.conftest import CONVERSATIONS, PAIRS, SPLIT_OF, lines, write_groups

USER = PreferencePairsConfig(kinds=(), sources=("filled in",))


def make(config: PreferencePairsConfig, conversations: Path, checkpoint: Path, output: Path) -> dict[str, list[dict[str, Any]]]:
    """The lines of both splits."""
    output.mkdir(parents=True, exist_ok=True)
    make_preference_pairs(config, conversations=conversations, checkpoint=checkpoint, output=output, metrics=SilentMetrics())
    return {split: lines(output / f"{split}.jsonl") for split in ("train", "validation")}


def pair(prompt: str, **more: object) -> dict[str, object]:
    """A line of a user's file."""
    return {"prompt": prompt, "chosen": "good", "rejected": "bad", **more}


def descriptions(conversations: Path, split: str) -> set[tuple[str, str]]:
    """The prompts that ask what a function does, with the authors' answers."""
    messages = [line["messages"] for line in lines(conversations / f"{split}.jsonl") if line["task"] == "describe"]
    return {(question["content"], answer["content"]) for question, answer in messages}


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_authors_words_are_chosen_in_their_conversations_split(split: str, conversations: Path, pairs: Path) -> None:
    right, rows = descriptions(conversations, split), lines(pairs / f"{split}.jsonl")
    assert {line["kind"] for line in rows} == {"author-vs-sample", "right-vs-other"}
    assert all((line["prompt"], line["chosen"]) in right and line["chosen"] != line["rejected"] for line in rows)
    assert all(SPLIT_OF[line["group"]] == split for line in rows)
    assert len({line["id"] for line in rows}) == len(rows)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_other_functions_words_are_an_authors_too_and_of_the_same_split(split: str, conversations: Path, pairs: Path) -> None:
    rejected = {line["rejected"] for line in lines(pairs / f"{split}.jsonl") if line["kind"] == "right-vs-other"}
    assert rejected <= {answer for _, answer in descriptions(conversations, split)}


def test_the_samples_are_the_models_own(pairs: Path, conversations: Path) -> None:
    samples = {line["rejected"] for line in lines(pairs / "train.jsonl") if line["kind"] == "author-vs-sample"}
    assert len(samples) > 30
    assert not samples & {answer for _, answer in descriptions(conversations, "train")}


def test_the_table_counts_characters(pairs: Path) -> None:
    rows = pq.read_table(pairs / "metrics" / "preference_pairs.parquet").to_pylist()
    by_id = {line["id"]: line for split in ("train", "validation") for line in lines(pairs / f"{split}.jsonl")}
    assert rows
    assert all(row[f"{name}_characters"] == len(by_id[row["id"]][name]) for row in rows for name in ("chosen", "rejected"))


def test_the_same_inputs_give_the_same_bytes_and_another_seed_others(
    conversations: Path, base: Path, pairs: Path, tmp_path: Path
) -> None:
    make(PAIRS, conversations, base, tmp_path / "again")
    make(replace(PAIRS, seed=1), conversations, base, tmp_path / "other")
    for name in ("train.jsonl", "validation.jsonl", "metrics/preference_pairs.parquet", "raw.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (pairs / name).read_bytes()
    assert (tmp_path / "other" / "train.jsonl").read_bytes() != (pairs / "train.jsonl").read_bytes()


def test_sampling_says_how_far_it_is(conversations: Path, base: Path, tmp_path: Path) -> None:
    metrics = RecordedMetrics()
    config = replace(PAIRS, batch_size=2)
    make_preference_pairs(config, conversations=conversations, checkpoint=base, output=tmp_path, metrics=metrics)
    assert metrics.seen[:3] == [(16, 40, "samples"), (32, 40, "samples"), (40, 40, "samples")]


def test_samples_as_long_as_the_context_are_refused(conversations: Path, base: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"max_new_tokens is 192; allowed: below the model's context of 192"):
        make(replace(PAIRS, max_new_tokens=192), conversations, base, tmp_path)


def test_where_no_prompt_leaves_room_the_error_says_so(conversations: Path, base: Path, tmp_path: Path) -> None:
    config = replace(PAIRS, kinds=("author-vs-sample",), max_new_tokens=191)
    with pytest.raises(SourceError, match=r"none for train; .* \(100 %\) left out as too-long; .*pairs\.max_new"):
        make(config, conversations, base, tmp_path)


def test_prompts_that_leave_no_room_for_an_answer_are_left_out(conversations: Path, base: Path, tmp_path: Path) -> None:
    config = replace(PAIRS, kinds=("author-vs-sample",), max_new_tokens=130)
    by_split = make(config, conversations, base, tmp_path)
    assert 0 < len(by_split["train"]) < 40


def test_a_users_pairs_stay_in_the_split_of_their_group_and_need_no_model(
    conversations: Path, jsonl: Callable[..., str], tmp_path: Path
) -> None:
    rows = [pair("1", group="typer"), pair("2", group="tqdm"), pair("3", split="validation"), pair("4", split="train", group="x")]
    by_split = make(replace(USER, sources=(jsonl(rows),)), conversations, tmp_path / "nowhere", tmp_path / "output")
    assert {line["prompt"] for line in by_split["train"]} == {"1", "4"}
    assert {line["prompt"] for line in by_split["validation"]} == {"2", "3"}
    assert {line["kind"] for line in by_split["train"]} == {"user"}


def test_a_users_pairs_without_a_split_are_split_by_their_prompt(
    conversations: Path, jsonl: Callable[..., str], tmp_path: Path
) -> None:
    uri = jsonl([pair(str(n // 2), chosen=f"good {n}") for n in range(40)])
    by_split = make(replace(USER, sources=(uri,), validation_share=0.2), conversations, tmp_path, tmp_path / "output")
    held_out = {line["prompt"] for line in by_split["validation"]}
    assert len(held_out) == 4
    assert not held_out & {line["prompt"] for line in by_split["train"]}


def test_lines_that_are_no_pair_cost_themselves_and_are_counted_by_reason(
    conversations: Path, jsonl: Callable[..., str], tmp_path: Path
) -> None:
    bad = [pair("2", rejected="good \n"), {"prompt": "3", "chosen": "c"}, pair("4", split="test"), pair("5", chosen=["a"]), b"{"]
    make(replace(USER, sources=(jsonl([pair("1"), *bad, pair("7")]),)), conversations, tmp_path, tmp_path / "output")
    refused = pq.read_table(tmp_path / "output" / "metrics" / "refused.parquet").to_pylist()
    assert [(row["line"], row["reason"]) for row in refused] == [
        (2, "equal-answers"),
        (3, "missing-field"),
        (4, "wrong-value"),
        (5, "wrong-type"),
        (6, "invalid-json"),
    ]
    assert {row.count for row in Omissions.read(tmp_path / "output").rows} == {1}


def test_pairs_beyond_the_maximum_are_recorded_with_the_field_that_keeps_them(
    conversations: Path, jsonl: Callable[..., str], tmp_path: Path
) -> None:
    uri = jsonl([pair(str(number)) for number in range(30)])
    config = replace(USER, sources=(uri,), max_pairs_per_kind=10, validation_share=0.1)
    make(config, conversations, tmp_path, tmp_path / "output")
    (row,) = Omissions.read(tmp_path / "output").rows
    assert (row.unit, row.reason, row.count, row.total) == ("pairs", "over-limit", 17, 30)
    assert row.setting == "preference_pairs.max_pairs_per_kind"
    assert row.cases[0].uri.startswith("user.jsonl#")


def test_a_conversation_with_several_questions_gives_no_pair_and_is_recorded(
    conversations: Path, jsonl: Callable[..., str], tmp_path: Path
) -> None:
    messages = [{"role": role, "content": role} for role in ("user", "assistant")]
    several = [{"messages": messages * 2, "group": "typer"}, {"messages": messages, "group": "tqdm"}]
    corpus = write_groups(tmp_path / "corpus", SPLIT_OF)
    config = replace(CONVERSATIONS, sources=(jsonl(several),))
    make_conversations(config, corpus=corpus, output=tmp_path)
    make(replace(PAIRS, kinds=("right-vs-other",)), tmp_path, tmp_path, tmp_path / "output")
    (row,) = Omissions.read(tmp_path / "output").rows
    assert (row.source, row.reason, row.count) == ("user.jsonl", "several-questions", 1)


def test_a_split_without_pairs_is_refused(conversations: Path, jsonl: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none for validation; add kinds, sources or conversations"):
        make(replace(USER, sources=(jsonl([pair("1")]),)), conversations, tmp_path, tmp_path / "output")
