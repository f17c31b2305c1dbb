"""Samples of each step do not depend on how documents are sharded, and contain no personal data."""

from pathlib import Path
from typing import Any

import pytest

from components.curation import tables
from components.curation.extraction.samples import MAX_EXCERPT_CHARACTERS, MAX_SCANNED_CHARACTERS, Samples, excerpt
from tests.components.curation.conftest import config, documents, prose, rows, run, source, write_jsonl

MAIL = "jane.roe@example.org"


def samples(directory: Path) -> list[dict[str, Any]]:
    return rows(directory / "corpus/samples.parquet")


def write_sources(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    long = prose(7, 300)
    texts = [prose(n) for n in range(12)]
    texts += [f"{long} one", f"{long} two", prose(3), "short", f"  {prose(40)}\r\n\r\n\r\n\r\n\r\n{MAIL}", f"{prose(41)} {MAIL}"]
    for number in range(6):
        write_jsonl(tmp_path / f"data/{number}.jsonl", texts[number * 3 : number * 3 + 3])


def test_every_step_that_did_something_has_its_documents(tmp_path: Path) -> None:
    write_sources(tmp_path)
    run(config(source(tmp_path / "data"), personal_data=("email",)), tmp_path)
    sampled = samples(tmp_path)
    assert {(row["step"], row["reason"]) for row in sampled} >= {
        ("normalise", ""),
        ("filter", "short"),
        ("personal-data", "email"),
        ("deduplicate", "exact-duplicate"),
        ("deduplicate", "near-duplicate"),
        ("keep", "prose"),
    }
    listed = {row["id"]: row for row in rows(tmp_path / "corpus/metrics/documents.parquet")}
    for row in sampled:
        assert (row["source"], row["domain"], row["uri"]) == ("data", "prose", listed[row["id"]]["uri"])
        assert (row["reason"] == listed[row["id"]]["reason"]) or row["step"] in ("normalise", "personal-data", "keep", "cluster")
    (near,) = [row for row in sampled if row["reason"] == "near-duplicate"]
    assert near["before"] == near["after"] == prose(7, 300)[:MAX_EXCERPT_CHARACTERS] + "…"
    assert 0.8 <= near["similarity"] < 1
    clusters = [row for row in sampled if row["step"] == "cluster"]
    assert {row["reason"] for row in clusters} == {row["kept"] for row in clusters}
    assert len(clusters) == 2


def test_no_personal_data_is_in_them_even_where_the_corpus_keeps_it(tmp_path: Path) -> None:
    write_sources(tmp_path)
    run(config(source(tmp_path / "data")), tmp_path)
    texts = [row[name] for row in samples(tmp_path) for name in ("before", "after")]
    assert not any(MAIL in text for text in texts)
    assert any("<EMAIL>" in text for text in texts)


@pytest.mark.long
@pytest.mark.parametrize("shard_bytes", [3_000, 10**8])
def test_they_do_not_depend_on_shards(tmp_path: Path, shard_bytes: int) -> None:
    write_sources(tmp_path)
    chosen = {"personal_data": ("email",), "samples": 2}
    run(config(source(tmp_path / "data"), **chosen), tmp_path / "usual")
    run(config(source(tmp_path / "data"), **chosen, shard_bytes=shard_bytes), tmp_path / "other")
    assert samples(tmp_path / "usual") == samples(tmp_path / "other")
    assert (
        max(sum((row["step"], row["reason"]) == key for row in samples(tmp_path / "usual")) for key in [("keep", "prose")]) == 2
    )


def test_a_file_that_fails_half_way_leaves_none(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/a.jsonl", [prose(1), prose(2)])
    write_jsonl(tmp_path / "data/b.jsonl", ["short", *[None] * 5])
    run(config(source(tmp_path / "data"), max_bad_lines=2), tmp_path)
    assert {row["uri"].partition("#")[0] for row in samples(tmp_path)} == {"a.jsonl"}


def test_what_lost_a_passage_is_shown_with_and_without_it_and_kept_as_the_corpus_holds_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    passage = prose(99, 80)
    write_jsonl(tmp_path / "data/a.jsonl", [f"{prose(n, 60)}\n{passage}\n{prose(n + 50, 60)}" for n in range(3)])
    run(config(source(tmp_path / "data"), kinds=("substring",), near_duplicate_threshold=1.0), tmp_path)
    trimmed = {row["id"]: row for row in samples(tmp_path) if row["step"] == "trim"}
    assert len(trimmed) == 2
    held = {row["id"]: row["text"] for row in documents(tmp_path)}
    for identity, row in trimmed.items():
        assert (passage[:200] in row["before"], passage[:200] in row["after"]) == (True, False)
        assert row["after"].rstrip("…") == held[identity][: len(row["after"].rstrip("…"))]
    for row in samples(tmp_path):
        if row["step"] == "keep":
            assert row["after"].rstrip("…") == held[row["id"]][: len(row["after"].rstrip("…"))]


def test_none_are_kept_where_none_are_wanted(tmp_path: Path) -> None:
    write_sources(tmp_path)
    run(config(source(tmp_path / "data"), samples=0), tmp_path)
    assert not (tmp_path / "corpus/samples.parquet").exists()


@pytest.mark.parametrize("start", [0, MAX_EXCERPT_CHARACTERS - 8, MAX_SCANNED_CHARACTERS - 8])
def test_an_address_that_the_end_would_cut_is_not_shown_in_part(start: int) -> None:
    text = " ".join(["word"] * 1000)
    shown = excerpt(text[:start] + f" {MAIL} " + text)
    assert "jane" not in shown
    assert len(shown) <= MAX_EXCERPT_CHARACTERS + 1


def test_the_lowest_texts_are_taken_once_in_any_order_and_a_copy_stays_as_it_was() -> None:
    forwards, backwards = Samples(2), Samples(2)
    for number in range(5):
        for samples_of, text in ((forwards, number), (backwards, 4 - number)):
            for copy in range(2):
                samples_of.offer("filter", "short", {"text_hash": text, "id": f"{9 - text} {copy}"}, before="x")
    assert forwards.table().equals(backwards.table())
    assert forwards.table().schema.equals(tables.SAMPLES)
    before = forwards.copy()
    forwards.offer("filter", "short", {"text_hash": 0, "id": "-"}, before="x")
    assert [row["id"] for row in before.rows()] == ["9 0", "8 0"]
    assert [row["id"] for row in forwards.rows()] == ["-", "8 0"]
