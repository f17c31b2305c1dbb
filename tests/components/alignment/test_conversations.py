"""Conversations: in the corpus's split, each once, the same bytes every time."""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.alignment.config import ConversationsConfig
from components.alignment.conversations import make_conversations
from components.artifacts import Omissions
from components.errors import SourceError
from components.raw_files import LOCATIONS
from tests.components.alignment.conftest import CONVERSATIONS, SPLIT_OF, lines, write_groups


def line_of(question: str, answer: str = "an answer", **more: object) -> dict[str, Any]:
    """A line of a user's file."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def make(config: ConversationsConfig, corpus: Path, output: Path) -> dict[str, list[dict[str, Any]]]:
    """The lines of both splits."""
    output.mkdir(parents=True, exist_ok=True)
    make_conversations(config, corpus=corpus, output=output)
    return {split: lines(output / f"{split}.jsonl") for split in ("train", "validation")}


def questions(conversations: list[dict[str, Any]]) -> set[str]:
    """The first message of each."""
    return {line["messages"][0]["content"] for line in conversations}


def test_each_distribution_is_in_the_split_that_the_corpus_gave_it(conversations: Path) -> None:
    for split in ("train", "validation"):
        groups = {line["group"] for line in lines(conversations / f"{split}.jsonl")}
        assert groups == {group for group, own in SPLIT_OF.items() if own == split}


def test_what_is_held_out_is_not_learned_in_the_other_split(jsonl: Callable[..., str], tmp_path: Path) -> None:
    same, other = line_of("What is it?"), line_of("Why?")
    uri = jsonl([same | {"group": "a"}, same | {"group": "b"}, other | {"group": "a"}])
    corpus = write_groups(tmp_path / "corpus", {"a": "train", "b": "validation"})
    by_split = make(ConversationsConfig(sources=(uri,)), corpus, tmp_path / "output")
    assert (questions(by_split["train"]), questions(by_split["validation"])) == ({"Why?"}, {"What is it?"})


def test_raising_the_number_of_training_conversations_changes_nothing_held_out(corpus: Path, tmp_path: Path) -> None:
    few, many = (make(replace(CONVERSATIONS, max_conversations=n), corpus, tmp_path / str(n)) for n in (20, 60))
    assert few["validation"] == many["validation"]
    assert questions(few["train"]) < questions(many["train"])


def test_the_users_own_come_first_and_every_distribution_gives_its_part(
    jsonl: Callable[..., str], corpus: Path, tmp_path: Path
) -> None:
    uri = jsonl([line_of(f"{n}?", group="typer") for n in range(10)])
    conversations = make(replace(CONVERSATIONS, sources=(uri,), max_conversations=40), corpus, tmp_path)["train"]
    assert sum(line["source"] == Path(uri).name for line in conversations) == 10
    embedded = Counter(line["group"] for line in conversations if line["task"] != "user")
    assert embedded == {"rich": 10, "typer": 10, "filelock": 10}


def test_a_users_lines_are_split_by_their_own_word_or_by_the_first_questions_hash(
    jsonl: Callable[..., str], corpus: Path, tmp_path: Path
) -> None:
    rows = [line_of(f"Question {n // 2}?", f"answer {n}") for n in range(40)] + [line_of("Held out?", split="validation")]
    by_split = make(ConversationsConfig(sources=(jsonl(rows),), validation_share=0.1), corpus, tmp_path / "output")
    assert len(questions(by_split["train"])) == 18
    assert len(questions(by_split["validation"])) == 3
    assert not questions(by_split["train"]) & questions(by_split["validation"])
    assert "Held out?" in questions(by_split["validation"])


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        ["text"],
        [{"role": "user", "content": "only a question"}],
        [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}],
        [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": ""}],
        [{"role": "user", "content": "q"}, {"role": "assistant"}],
    ],
)
def test_messages_that_are_no_conversation_are_refused_with_their_line(
    messages: object, jsonl: Callable[..., str], corpus: Path, tmp_path: Path
) -> None:
    uri = jsonl(
        [line_of("one?"), {"messages": messages}, line_of("two?"), line_of("three?", split="test"), line_of("four?", group=4)]
    )
    make(ConversationsConfig(sources=(uri,)), corpus, tmp_path)
    refused = pq.read_table(tmp_path / "metrics" / "refused.parquet").to_pylist()
    assert [row["line"] for row in refused] == [2, 4, 5]


def test_copies_and_conversations_beyond_the_maximum_are_recorded(
    jsonl: Callable[..., str], corpus: Path, tmp_path: Path
) -> None:
    uri = jsonl([line_of(f"Question {n % 15}?", group="typer") for n in range(20)] + [line_of("Held out?", split="validation")])
    config = replace(CONVERSATIONS, sources=(uri,), max_conversations=10)
    make(config, corpus, tmp_path)
    counted = {row.reason: row for row in Omissions.read(tmp_path).rows}
    assert set(counted) == {"duplicate", "over-limit"}
    assert sum(row.count for row in counted.values()) == 10
    assert {(row.source, row.unit, row.total) for row in counted.values()} == {("user.jsonl", "conversations", 21)}
    assert counted["over-limit"].setting == "conversations.max_conversations"


def test_figures_count_lines_that_were_left_out_and_warn_of_many(jsonl: Callable[..., str], corpus: Path, tmp_path: Path) -> None:
    uri = jsonl([line_of("one?"), {"text": "a document"}, line_of("held?", split="validation")])
    figures = make_conversations(ConversationsConfig(sources=(uri,)), corpus=corpus, output=tmp_path)
    assert figures["left_out"] == 1
    assert figures["warnings"] == [
        "user.jsonl: 1 of 3 lines (33 %) left out as missing-field; the first is user.jsonl#2: `messages` is missing; "
        "the line has 'text'; correct or remove these lines"
    ]


def test_an_empty_group_is_none(jsonl: Callable[..., str], corpus: Path, tmp_path: Path) -> None:
    rows = [line_of(f"{n}?", group=group) for n, group in enumerate(("", None, "", None))]
    made = make(ConversationsConfig(sources=(jsonl(rows),), validation_share=0.5), corpus, tmp_path)
    assert len({line["group"] for own in made.values() for line in own}) == 4


def test_a_split_without_conversations_is_refused(jsonl: Callable[..., str], corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none for validation; add sources or distributions"):
        make(ConversationsConfig(sources=(jsonl([line_of("one?")]),)), corpus, tmp_path)


def test_the_same_inputs_give_the_same_bytes(corpus: Path, jsonl: Callable[..., str], tmp_path: Path) -> None:
    config = replace(CONVERSATIONS, sources=(jsonl([line_of(f"{n}?") for n in range(9)]),))
    for name in ("first", "second"):
        make(config, corpus, tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
    assert len(files) == 7
    assert all((tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes() for name in files)


def test_a_moved_file_and_lines_in_another_order_give_the_same_conversations(
    corpus: Path, jsonl: Callable[..., str], tmp_path: Path
) -> None:
    rows = [line_of(f"{n}?") for n in range(30)]
    first, second = (tmp_path / name for name in ("first", "second"))
    config = replace(CONVERSATIONS, sources=(jsonl(rows),), max_conversations=20, max_validation_conversations=9)
    made = make(config, corpus, first)
    moved = tmp_path / "elsewhere" / Path(config.sources[0]).name
    moved.parent.mkdir()
    shutil.copy(config.sources[0], moved)
    make(replace(config, sources=(str(moved),)), corpus, second)
    content = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file() and path.name != LOCATIONS)
    assert [(first / name).read_bytes() for name in content] == [(second / name).read_bytes() for name in content]
    assert str(tmp_path).encode() not in b"".join((first / name).read_bytes() for name in content)

    reversed_lines = make(replace(config, sources=(jsonl(rows[::-1]),)), corpus, tmp_path / "third")
    said = [{split: [line["messages"] for line in own] for split, own in of.items()} for of in (made, reversed_lines)]
    assert said[0] == said[1]


def test_the_metrics_table_counts_messages_and_characters(jsonl: Callable[..., str], corpus: Path, tmp_path: Path) -> None:
    longer = line_of("one?", "two")["messages"] + line_of("three?", "four")["messages"]
    make(ConversationsConfig(sources=(jsonl([{"messages": longer}, line_of("held?", split="validation")]),)), corpus, tmp_path)
    rows = pq.read_table(tmp_path / "metrics" / "conversations.parquet").to_pylist()
    assert [(row["split"], row["messages"], row["prompt_characters"], row["answer_characters"], row["task"]) for row in rows] == [
        ("train", 4, 10, 7, "user"),
        ("validation", 2, 5, 9, "user"),
    ]
