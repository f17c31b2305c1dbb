"""The user's conversations and pairs are read before the run, in every form that their stages take."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from components.checks.limits import ConversationsLimits, PreferencePairsLimits
from workflows.preflight.alignment import ConversationFiles, PairFiles


def conversation(number: int) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": "Answer."}]}


def pair(number: int) -> dict[str, Any]:
    return {"prompt": f"Question {number}?", "chosen": "Good.", "rejected": "Bad."}


def written(path: Path, rows: Sequence[Mapping[str, Any] | str], pack: Callable[[bytes], bytes] = bytes) -> str:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(pack(text.encode()))
    return str(path)


def of_conversations(*files: str, minimum: int = 1, **fields: Any) -> list[str]:
    config = ConversationsConfig(sources=files, **fields)
    question = ConversationFiles(config=config, limits=ConversationsLimits(min_conversations_per_split=minimum))
    return [str(problem) for problem in question.problems()]


def of_pairs(*files: str, minimum: int = 1) -> list[str]:
    question = PairFiles(config=PreferencePairsConfig(sources=files), limits=PreferencePairsLimits(min_pairs_per_split=minimum))
    return [str(problem) for problem in question.problems()]


@pytest.mark.parametrize(
    ("name", "pack"), [("a.jsonl", bytes), ("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.compress)]
)
def test_good_files_are_no_problem(name: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    assert of_conversations(written(tmp_path / name, [conversation(n) for n in range(5)], pack)) == []
    assert of_pairs(written(tmp_path / name, [pair(n) for n in range(5)], pack)) == []


def test_a_file_of_the_wrong_form_is_named_with_its_first_line(tmp_path: Path) -> None:
    (problem,) = of_conversations(written(tmp_path / "a.jsonl", [pair(n) for n in range(5)]))
    assert problem.startswith(f"conversations.sources.0: {tmp_path / 'a.jsonl'}: no usable line; the first is line 1: `messages`")
    (problem,) = of_pairs(written(tmp_path / "b.jsonl", [conversation(n) for n in range(5)]))
    assert problem.startswith(
        f"preference_pairs.sources.0: {tmp_path / 'b.jsonl'}: no usable line; the first is line 1: `prompt`"
    )


def test_every_file_is_read_whatever_is_wrong_with_the_others(tmp_path: Path) -> None:
    good = written(tmp_path / "good.jsonl", [conversation(n) for n in range(5)])
    wrong = written(tmp_path / "wrong.jsonl", ["[]"])
    cut = written(tmp_path / "cut.jsonl.gz", [conversation(n) for n in range(50)], lambda raw: gzip.compress(raw)[:-9])
    first, second, third = of_conversations(str(tmp_path / "absent.jsonl"), good, wrong, cut)
    assert first.startswith("conversations.sources.0: ")
    assert "no such file" in first
    assert second.startswith("conversations.sources.2: ")
    assert "cannot be read to its end" in third


def test_bad_lines_are_a_problem_only_beyond_the_share_of_the_check(tmp_path: Path) -> None:
    few = written(tmp_path / "few.jsonl", ["{", *(conversation(n) for n in range(5))])
    assert of_conversations(few) == []
    many = written(tmp_path / "many.jsonl", [conversation(0), *["{"] * 5])
    (problem,) = of_conversations(many)
    assert "5 of 6 lines cannot be used; allowed: 50 % (checks.conversations.max_omitted_share); the first is line 2" in problem


def test_bad_lines_in_the_middle_of_a_large_file_are_found_with_their_offset(tmp_path: Path) -> None:
    good = [pair(n) | {"filler": "x" * 100} for n in range(10_000)]
    path = written(tmp_path / "large.jsonl", [*good, *["{" + " " * 150] * 60_000, *good])
    (problem,) = of_pairs(path)
    assert "lines that were drawn cannot be used; allowed: 50 % (checks.preference_pairs.max_omitted_share)" in problem
    offset = int(problem.partition("the line at byte ")[2].partition(":")[0])
    assert Path(path).read_bytes()[offset:].startswith(b"{   ")


def test_fewer_lines_than_the_check_requires_are_said_unless_others_are_made(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [conversation(n) for n in range(5)])
    (problem,) = of_conversations(path, minimum=3)
    assert "5 usable lines in all files; checks.conversations.min_conversations_per_split requires 3 in each" in problem
    assert of_conversations(path, minimum=3, distributions=("numpy",)) == []
    (problem,) = of_pairs(written(tmp_path / "b.jsonl", [pair(n) for n in range(5)]), minimum=3)
    assert "checks.preference_pairs.min_pairs_per_split requires 3" in problem


def test_a_file_that_is_listed_twice_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [conversation(0)])
    (problem,) = of_conversations(path, path)
    assert problem.startswith("conversations.sources: ")
    assert "listed twice" in problem


def test_files_that_this_machine_cannot_read_are_not_asked_about() -> None:
    config = ConversationsConfig(sources=("/sources/a.jsonl",))
    question = ConversationFiles(config=config, limits=ConversationsLimits(), hidden=("/sources/a.jsonl",))
    assert list(question.problems()) == []
