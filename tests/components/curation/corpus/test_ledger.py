"""The ledger joins the verdicts of filters, deduplication and passages, and counts them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.artifacts import TRAIN, VALIDATION
from components.curation import tables
from components.curation.corpus.ledger import (
    added,
    split_groups,
    training_languages,
    write_ledger,
)
from components.curation.tables.reasons import DUPLICATE_PASSAGES, EXACT, NEAR
from components.curation.text.draw import group_of
from components.errors import SourceError
from tests.components.curation.conftest import passed, rows, source
from tests.components.curation.corpus.conftest import identity, removal, shard_of, table_of


def test_every_document_has_its_reason_and_every_kept_one_its_group(tmp_path: Path) -> None:
    shared = {
        "document": 5,
        "kept": -1,
        "reason": "",
        "group": "of-its-cluster",
        "id": identity(5),
        "kept_id": "",
        "text": 5,
        "kept_text": 0,
    }
    shard = shard_of(
        tmp_path, {1: {}, 2: {"group": "numpy"}, 3: {"reason": "short"}, 4: {}, 5: {}}, verdicts=[shared, removal(4, 1, NEAR)]
    )
    write_ledger(shard)
    ledger = {row["id"]: (row["reason"], row["group"]) for row in rows(shard.ledger)}
    kept = {1: ("", group_of(1)), 2: ("", "numpy"), 3: ("short", group_of(3)), 5: ("", "of-its-cluster")}
    assert ledger == {identity(number): value for number, value in kept.items()} | {identity(4): (NEAR, group_of(4))}
    assert passed(shard.losses) == [{"kept_text": 1, "kept": identity(1), "source": "s", "domain": "web", "documents": 1}]


def test_a_trimmed_document_has_its_new_size_and_one_that_is_removed_for_it_keeps_the_old(tmp_path: Path) -> None:
    shorter = {"document": 1, "text": "a" * 60, "bytes": 60, "characters": 60, "cut": 40, "reason": ""}
    removed = {"document": 3, "text": "", "bytes": 0, "characters": 0, "cut": 100, "reason": DUPLICATE_PASSAGES}
    texts = {1: {"text": "a" * 100}, 2: {"text": "b" * 100}, 3: {"text": "c" * 100}}
    shard = shard_of(tmp_path, texts, trimmed=[shorter, removed])
    tally = write_ledger(shard)
    listed = [(row["bytes"], row["characters"], row["cut"], row["reason"]) for row in rows(shard.ledger)]
    assert listed == [(60, 60, 40, ""), (100, 100, 0, ""), (100, 100, 0, DUPLICATE_PASSAGES)]
    (counts,) = tally.table_of((source("s", "web"),)).to_pylist()
    assert (counts["bytes"], counts["kept_bytes"], counts["duplicate_bytes"]) == (300, 160, 140)
    assert tally.figures()["not_kept"] == {DUPLICATE_PASSAGES: 1}


def test_tallies_add_up_to_that_of_all_shards(tmp_path: Path) -> None:
    documents: dict[int, dict[str, Any]] = {n: {"group": "ab"[n % 2], "language": ["en", "zh"][n % 2]} for n in range(1, 7)}
    documents[4]["reason"] = "short"
    whole = write_ledger(shard_of(tmp_path / "whole", documents))
    halves = [{n: documents[n] for n in own} for own in ((1, 2, 3), (4, 5, 6))]
    tallies = [write_ledger(shard_of(tmp_path / str(n), own)) for n, own in enumerate(halves)]
    assert added(*tallies) == whole
    assert whole.sizes_by_group() == {"a": {"web": 12}, "b": {"web": 18}}
    assert [row["documents"] for row in whole.refusals().to_pylist()] == [2, 1, 3]


def test_a_source_of_which_nothing_is_kept_is_an_error_unless_another_has_it_all(tmp_path: Path) -> None:
    documents = {1: {}, 2: {"source": "other", "text": "text 1"}, 3: {"source": "bad", "reason": "short"}}
    tally = write_ledger(shard_of(tmp_path, documents, verdicts=[removal(2, 1, EXACT)]))
    tally.require_documents((source("s", "web"), source("other", "web")))
    with pytest.raises(SourceError, match=r"source bad .*all of its 1 documents were refused \(1 short\)"):
        tally.require_documents((source("s", "web"), source("bad", "web")))
    tally.add_set_aside(table_of([{"source": "none", "domain": "web", "error": "no gzip"}], tables.SET_ASIDE))
    with pytest.raises(SourceError, match=r"no documents of domain .*; 1 of its files could not be read, .*: no gzip"):
        tally.require_documents((source("none", "web"),))


def test_what_is_trained_on_is_counted_by_language(tmp_path: Path) -> None:
    shard = shard_of(
        tmp_path, {1: {"group": "a"}, 2: {"group": "a", "language": "zh"}, 3: {"group": "b"}, 4: {"reason": "short"}}
    )
    write_ledger(shard)
    assert training_languages(shard, splits={"a": TRAIN, "b": VALIDATION}) == {("web", "en"): 6, ("web", "zh"): 6}


def test_single_documents_are_split_by_the_first_digits_of_the_hashes_of_their_texts() -> None:
    groups = ["ab12" + "0" * 12, "numpy", "ab12" + "f" * 12]
    assert split_groups(pa.chunked_array([groups])).to_pylist() == ["ab12", "numpy", "ab12"]
