"""Exact and near-duplicates are removed with evidence, and similarity is not transitive."""

from pathlib import Path

from components.curation.tables.reasons import EXACT, NEAR
from tests.components.curation.conftest import config, documents, prose, rows, run, source, write_jsonl

WORDS = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)} of the" for i in range(300)]
"""Overlapping runs of these words have a known similarity."""


def shifted(start: int, length: int = 200) -> str:
    return " ".join(WORDS[start : start + length])


def test_copies_and_near_copies_over_all_sources_leave_one_with_evidence(tmp_path: Path) -> None:
    near = prose(1, 300).replace("one", "two", 2)
    write_jsonl(tmp_path / "a.jsonl", [prose(1, 300), prose(2, 300)])
    write_jsonl(tmp_path / "b.jsonl", [prose(1, 300) + "  \r\n", near, prose(3, 300)])
    figures = run(config(source(tmp_path / "a.jsonl"), source(tmp_path / "b.jsonl", "web")), tmp_path)
    kept = {row["id"] for row in documents(tmp_path)}
    removed = rows(tmp_path / "corpus/removed.parquet")
    assert len(kept) == 3
    clusters = rows(tmp_path / "corpus/metrics/clusters.parquet")
    assert sum(row["documents"] for row in clusters) == len(removed)
    assert all(row["kept"] in kept and row["share"] == row["documents"] / (2 if row["source"] == "a" else 3) for row in clusters)
    assert figures["not_kept"][NEAR] + figures["not_kept"].get(EXACT, 0) == len(removed) == 2
    assert all(row["kept"] in kept and row["removed"] not in kept and 0.8 <= row["similarity"] <= 1 for row in removed)


def test_what_is_similar_only_to_something_removed_stays(tmp_path: Path) -> None:
    # Shifted by 20 of 200 words: 0.82 to the neighbour, 0.67 to the one after it.
    write_jsonl(tmp_path / "a.jsonl", [shifted(20 * step) for step in range(5)] + [prose(n) for n in range(9)])
    run(config(source(tmp_path / "a.jsonl")), tmp_path)
    kept = {row["id"] for row in documents(tmp_path)}
    removed = rows(tmp_path / "corpus/removed.parquet")
    assert 2 <= len([row for row in documents(tmp_path) if row["text"].startswith("word")]) <= 3
    assert all(row["kept"] in kept and row["similarity"] >= 0.8 for row in removed)


def test_documents_that_similar_ones_connect_are_never_parted_by_the_split(tmp_path: Path) -> None:
    # Shifted by 15 of 200 words: 0.86 to the neighbour, which the bands find with 0.9995, and 0.74 to the one after it.
    chains = [[shifted(15 * step).replace("word", chr(97 + chain) * 3) for step in range(5)] for chain in range(8)]
    write_jsonl(tmp_path / "a.jsonl", [text for chain in chains for text in chain])
    run(config(source(tmp_path / "a.jsonl")), tmp_path)
    by_chain: dict[str, list[str]] = {}
    for split in ("train", "validation"):
        for row in documents(tmp_path, split):
            by_chain.setdefault(row["text"][:3], []).append(f"{split} {row['group']}")
    assert {len(members) for members in by_chain.values()} <= {2, 3}
    assert all(len(set(members)) == 1 for members in by_chain.values())
