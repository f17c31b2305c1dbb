"""The audit measures removals again from their texts by independent code, and finds a wrong removal."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import interim
from components.curation import DuplicatesConfig, tables
from components.curation.config import CurationConfig
from components.curation.duplicates.audit import Removal, audit, interval, jaccard, lowest
from components.curation.duplicates.sketches import text_shards
from components.curation.tables.reasons import EXACT, NEAR
from components.curation.text.shingles import shingles_of
from components.ports import InProcessShardEngine
from tests.components.curation.conftest import config, prose, rows, run, source, write_jsonl

CHOSEN = config(source("a"), audited_removals=40)


def texts_of(texts: list[str], path: Path) -> Path:
    pq.write_table(pa.table({"document": range(len(texts)), "text": texts}), path)
    return path


def removal(document: int, kept: int, similarity: float, reason: str = NEAR) -> dict[str, Any]:
    ids = {"id": f"{document:064x}", "kept_id": f"{kept:064x}", "text": document}
    return {"part": 0, "document": document, "kept": kept, "similarity": similarity, "reason": reason, "group": "", **ids}


def audited(texts: list[str], verdicts: list[dict[str, Any]], directory: Path, chosen: CurationConfig = CHOSEN) -> Any:
    (shard,) = text_shards([texts_of(texts, directory / "texts.parquet")], directory)
    interim.write(shard.verdicts, pa.Table.from_pylist(verdicts, tables.VERDICTS))
    return audit(
        [shard],
        chosen.duplicates,
        directory / "audit",
        InProcessShardEngine(),
        removals=chosen.audited_removals,
        seed=chosen.seed,
        memory=chosen.shard_bytes,
    )


def test_a_removal_without_its_partner_is_found_whatever_deduplication_recorded(tmp_path: Path) -> None:
    texts = [prose(1, 200), prose(1, 200) + " more of it", prose(2, 200)]
    report = audited(texts, [removal(1, 0, 0.97), removal(2, 0, 0.99)], tmp_path)
    right, wrong = sorted(report.pairs.to_pylist(), key=lambda row: row["removed"])
    assert right["similar"]
    assert right["counted"] > 0.9
    assert (wrong["similar"], wrong["recorded"], wrong["counted"] < 0.1) == (False, 0.99, True)
    (precision,) = report.precision
    assert (precision.removals, precision.sampled, precision.similar, precision.precision) == (2, 2, 1, 0.5)


def test_the_sample_is_of_each_reason_and_its_interval_holds_for_all_of_them(tmp_path: Path) -> None:
    texts = [prose(number, 60) for number in range(5)]
    verdicts = [removal(n % 5, n % 5, 1.0, EXACT if n % 10 == 0 else NEAR) | {"id": f"{n:064x}", "text": n} for n in range(200)]
    exact, near = audited(texts, verdicts, tmp_path).precision
    assert (exact.reason, exact.removals, exact.sampled, exact.low) == (EXACT, 20, 20, 1.0)
    assert (near.reason, near.removals, near.sampled, near.high) == (NEAR, 180, 40, 1.0)
    assert near.low == pytest.approx(0.025 ** (1 / 40))


def test_every_text_is_sampled_once_before_any_copy_of_it_in_whatever_shards_they_are() -> None:
    copies = [Removal(0, 0.1, 7, f"{number}", "kept", number, 99, 1.0) for number in range(5)]
    others = [Removal(0, 0.2 + text / 10, text, f"{text}", "kept", text, 99, 1.0) for text in (1, 2, 3)]
    whole = lowest([*copies, *others], 6)
    assert [(removal.text, removal.copy) for removal in whole] == [(7, 0), (1, 0), (2, 0), (3, 0), (7, 1), (7, 2)]
    for shards in ([copies[:2], others, copies[2:]], [[*others[:1], *copies], others[1:]]):
        assert lowest([removal for own in shards for removal in lowest(own, 6)], 6) == whole


def test_a_corpus_without_removals_has_an_empty_audit(tmp_path: Path) -> None:
    report = audited([prose(1)], [], tmp_path)
    assert (report.pairs.num_rows, report.table().num_rows, report.figures()) == (0, 0, {})


@pytest.mark.long
def test_the_audit_of_a_corpus_agrees_with_what_was_recorded_and_depends_on_the_seed_alone(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [prose(n, 300) for n in range(30)])
    write_jsonl(tmp_path / "b.jsonl", [prose(n, 300).replace("one", "two", n % 3) for n in range(30)])
    sources = source(tmp_path / "a.jsonl"), source(tmp_path / "b.jsonl", "web")
    for name, seed, size in (("one", 0, 20_000), ("two", 0, 10**8), ("three", 1, 20_000)):
        figures = run(config(*sources, seed=seed, shard_bytes=size, audited_removals=7), tmp_path / name)
        assert figures["deduplication"]["audit"][NEAR]["precision"] == 1.0
    pairs = {name: rows(tmp_path / name / "corpus/metrics/audit.parquet") for name in ("one", "two", "three")}
    assert pairs["one"] == pairs["two"] != pairs["three"]
    assert {row["reason"] for row in pairs["one"]} == {EXACT, NEAR}
    removed = {row["removed"]: row for row in rows(tmp_path / "one/corpus/removed.parquet")}
    assert all(row["counted"] == row["recorded"] == removed[row["removed"]]["similarity"] for row in pairs["one"])


CHARACTERS = st.sampled_from(
    ["a", "B", "é", "İ", "ẞ", "Σ", "ς", "_", "7", "½", "Ⅷ", "大", "学", "ア", "ー", "가", "あ", "𠀀", "𝐀"]
)
SPECIALS = st.sampled_from([" ", "\n", "\t", "　", "\u00a0", "\x1c", ",", "-", "😀", "\u0301", "\U000e0067"])


@given(st.lists(st.one_of(CHARACTERS, SPECIALS), max_size=40).map("".join), st.lists(CHARACTERS, max_size=20).map("".join))
@pytest.mark.parametrize("words", ["alphanumeric", "whitespace"])
def test_what_is_counted_by_strings_is_what_is_counted_by_hashes(words: str, first: str, second: str) -> None:
    chosen = DuplicatesConfig(shingle_size=2, shingle_words=words)
    ours, theirs = (set(shingles_of(text, 2, words).tolist()) for text in (first, first[: len(first) // 2] + second))
    assert jaccard(first, first[: len(first) // 2] + second, chosen) == len(ours & theirs) / len(ours | theirs)


@pytest.mark.parametrize(
    ("hits", "sampled", "low", "high"), [(400, 400, 0.99082, 1.0), (0, 20, 0.0, 0.16843), (8, 10, 0.44390, 0.97479)]
)
def test_the_interval_is_that_of_clopper_and_pearson(hits: int, sampled: int, low: float, high: float) -> None:
    # scipy.stats.binomtest(hits, sampled).proportion_ci(method="exact")
    assert interval(hits, sampled, 10_000) == pytest.approx((low, high), abs=1e-5)


def test_a_sample_of_everything_is_certain() -> None:
    assert interval(9, 10, 10) == (0.9, 0.9)
