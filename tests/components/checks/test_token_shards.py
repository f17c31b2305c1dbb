"""Data that breaks each expectation on token shards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.checks.limits import TokenShardsLimits
from components.checks.token_shards import check
from components.ports.store import records_of

LIMITS = TokenShardsLimits()

BREAKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "shards: has rows": ("shards", lambda t: t.iloc[:0]),
    "shards: tokens is at least 3": ("shards", lambda t: t.assign(tokens=2)),
    "shards: min_id is at least 0": ("shards", lambda t: t.assign(min_id=-1)),
    "shards: max_id is between 0 and 1,023": ("shards", lambda t: t.assign(max_id=1024)),
    "shards: missing_in_file is 0": ("shards", lambda t: t.assign(tokens=1001)),
    "shards: digest has no duplicates": (
        "shards",
        lambda t: t.assign(digest=t["digest"].replace(t["digest"][0], t["digest"][1])),
    ),
    "splits: tokens is at least 1": ("index.json", lambda i: without(i, "validation")),
    "splits: bytes_per_token is between 1 and 12": ("index.json", lambda i: with_counts(i, bytes=80_000)),
    "splits: unlisted_tokens is 0": ("index.json", lambda i: with_counts(i, tokens=1999)),
    "splits: unlisted_documents is 0": ("index.json", lambda i: with_counts(i, documents=21)),
    "splits: unlisted_bytes is 0": ("index.json", lambda i: with_counts(i, bytes=8001)),
    "fertility: domain includes code, prose": ("fertility", lambda t: t[t["domain"] == "code"]),
    "fertility: round_trip_failures is 0": ("fertility", lambda t: t.assign(round_trip_failures=1)),
    "fertility: tokens_per_byte is between 0.0833333 and 1": ("fertility", lambda t: t.assign(tokens_per_byte=1.1)),
}


def test_a_good_artifact_passes(token_shards: Path, tokenizer: Path, output: Path) -> None:
    report = check(LIMITS, artifact=token_shards, tokenizer=tokenizer, output=output)
    assert [expectation.name for expectation in report.expectations if not expectation.passed] == []
    assert report.passed
    assert (output / report.report).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_expectation_has_data_that_breaks_it(token_shards: Path, tokenizer: Path, output: Path) -> None:
    report = check(LIMITS, artifact=token_shards, tokenizer=tokenizer, output=output)
    assert [expectation.name for expectation in report.expectations] == list(BREAKS)


@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_expectation_is_named(broken: str, token_shards: Path, tokenizer: Path, output: Path, spoil: Any) -> None:
    name, change = BREAKS[broken]
    spoil(tokenizer if name == "fertility" else token_shards, name, change)
    report = check(LIMITS, artifact=token_shards, tokenizer=tokenizer, output=output)
    assert broken in [expectation.name for expectation in report.expectations if not expectation.passed]


def test_a_shard_cut_short_on_disk_is_found(token_shards: Path, tokenizer: Path, output: Path) -> None:
    (token_shards / "train" / "code" / "tokens-00001.bin").write_bytes(bytes(1998))
    report = check(LIMITS, artifact=token_shards, tokenizer=tokenizer, output=output)
    assert [(expectation.name, expectation.observed) for expectation in report.failures] == [
        (
            "shards: missing_in_file is 0",
            "1 of 8 rows: domain code, missing_in_file 1, shard tokens-00001.bin, split train",
        )
    ]


def test_the_tokens_need_not_be_there_where_their_sizes_are_known(token_shards: Path, tokenizer: Path, output: Path) -> None:
    sizes = {record.path: record.size for record in records_of(token_shards)}
    for path in token_shards.rglob("*.bin"):
        path.unlink()
    assert check(LIMITS, artifact=token_shards, tokenizer=tokenizer, output=output, sizes=sizes).passed
    sizes["train/code/tokens-00001.bin"] -= 2
    report = check(LIMITS, artifact=token_shards, tokenizer=tokenizer, output=output, sizes=sizes)
    assert [expectation.name for expectation in report.failures] == ["shards: missing_in_file is 0"]


def test_equal_shards_are_a_warning(token_shards: Path, tokenizer: Path, output: Path, spoil: Any) -> None:
    spoil(token_shards, *BREAKS["shards: digest has no duplicates"])
    assert check(LIMITS, artifact=token_shards, tokenizer=tokenizer, output=output).passed


def without(index: dict[str, Any], split: str) -> dict[str, Any]:
    """The index without the validation split."""
    return {**index, "splits": {name: domains for name, domains in index["splits"].items() if name != split}}


def with_counts(index: dict[str, Any], **counts: int) -> dict[str, Any]:
    """The index with other counts for the training code."""
    index["splits"]["train"]["code"].update(counts)
    return index
