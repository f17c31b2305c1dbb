"""The overview shows what the tables of a corpus contain, even if optional tables are missing."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.curation import tables
from components.curation.corpus.evidence import CLUSTER
from components.curation.extraction.samples import KEEP
from components.curation.pages.overview import LENGTHS, overview_of
from components.errors import DamagedArtifact


def write(corpus: Path, name: str, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    whole = [{column: row.get(column) for column in schema.names} for row in rows]
    tables.write(corpus / f"{name}.parquet", pa.Table.from_pylist(whole, schema))


def refusal(domain: str, reason: str, documents: int, size: int) -> dict[str, Any]:
    return {"source": "s", "domain": domain, "language": "en", "reason": reason, "documents": documents, "bytes": size}


def filled(labels: Sequence[str], counts: Sequence[int]) -> list[str]:
    """Labels of the bins that are not empty."""
    return [label for label, count in zip(labels, counts, strict=True) if count]


def document(size: int, *, kept: bool, quality: float | None = None, ratio: float | None = None) -> dict[str, Any]:
    return {"bytes": size, "kept": kept, "quality": quality, "flagged_words_ratio": ratio}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus with only the required tables."""
    counts = [refusal("web", "", 6, 60), refusal("web", "short", 3, 3), refusal("web", "near-duplicate", 4, 40)]
    write(tmp_path, "metrics/refusals", [*counts, refusal("code", "", 1, 100), refusal("code", "short", 1, 7)], tables.REFUSALS)
    write(tmp_path, "metrics/documents", [document(1, kept=False), document(5, kept=True)], tables.METRICS)
    return tmp_path


def test_counts_add_up_and_the_commonest_reason_comes_first(corpus: Path) -> None:
    overview = overview_of(corpus)
    assert [(share.name, share.documents, share.bytes, share.kept_documents) for share in overview.domains] == [
        ("code", 2, 107, 1),
        ("web", 13, 103, 6),
    ]
    assert overview.domains[1].reasons == (("near-duplicate", 4), ("short", 3))
    assert overview.reasons == (("near-duplicate", 4, 40), ("short", 4, 10))
    total = overview.total
    assert (total.documents, total.bytes, total.kept_documents, total.kept_bytes) == (15, 210, 7, 160)
    assert (overview.clusters, overview.samples, overview.config) == ((), {}, "")


def test_bins_of_lengths_double_and_empty_ones_at_the_ends_are_left_out(corpus: Path) -> None:
    documents = [document(size, kept=kept) for size, kept in ((8, True), (15, False), (16, True), (1000, True), (1024, True))]
    write(corpus, "metrics/documents", documents, tables.METRICS)
    (lengths,) = overview_of(corpus).histograms
    assert lengths.labels == ("8 B", "16 B", "32 B", "64 B", "128 B", "256 B", "512 B", "1 kB")
    assert lengths.kept == (1, 1, 0, 0, 0, 0, 1, 1)
    assert lengths.removed == (1, 0, 0, 0, 0, 0, 0, 0)
    assert len(lengths.labels) < LENGTHS


def test_scores_fall_into_the_bin_that_ends_with_them(corpus: Path) -> None:
    scores = [(0.25, 0.0), (0.26, 0.0019), (1.0, 0.0021), (None, None)]
    documents = [document(9, kept=True, quality=quality, ratio=ratio) for quality, ratio in scores]
    write(corpus, "metrics/documents", documents, tables.METRICS)
    write(corpus, "removed", [{"removed": "a", "kept": "b", "similarity": value} for value in (0.8, 0.81, 1.0)], tables.REMOVED)
    _, quality, flagged, similarity = overview_of(corpus).histograms
    assert filled(quality.labels, quality.kept) == ["0.20", "0.25", "0.95"]
    assert filled(flagged.labels, flagged.kept) == ["0", "0.2 %", "0.4 %"]
    assert filled(similarity.labels, similarity.removed) == ["0.75", "0.80", "0.95"]


def test_clusters_have_their_members_from_the_samples_and_the_largest_comes_first(corpus: Path) -> None:
    samples = [{"step": CLUSTER, "reason": kept, "id": f"{kept}{n}"} for kept in "ab" for n in range(2)]
    write(corpus, "samples", [*samples, {"step": KEEP, "reason": "web", "id": "k"}], tables.SAMPLES)
    clusters = [("s", "a", 3), ("t", "b", 2), ("s", "b", 2), ("s", "unsampled", 9)]
    rows = [{"source": source, "domain": "web", "kept": kept, "documents": count} for source, kept, count in clusters]
    write(corpus, "metrics/clusters", rows, tables.CLUSTERS)
    overview = overview_of(corpus)
    sizes = [(cluster["kept"], cluster["documents"], len(cluster["sources"])) for cluster in overview.clusters]
    assert sizes == [("b", 4, 2), ("a", 3, 1)]
    assert [row["id"] for row in overview.clusters[0]["members"]] == ["b0", "b1"]
    assert overview.samples.keys() == {KEEP}


def test_small_tables_are_shown_where_there_are_any(corpus: Path) -> None:
    hits = [("gsm8k", "d1", 1), ("gsm8k", "d1", 2), ("gsm8k", "d2", 2)]
    rows = [{"benchmark": benchmark, "id": identity, "file": "f", "item": item} for benchmark, identity, item in hits]
    write(corpus, "contamination", rows, tables.CONTAMINATION)
    mixture = {"shares": {"web": 1.0}, "epoch_limits": {"web": 4.0}, "language_shares": {"web": {"en": 0.25, "zh": 0.75}}}
    (corpus / "mixture.json").write_text(json.dumps(mixture))
    shown = overview_of(corpus).tables
    assert shown["contamination"] == [{"benchmark": "gsm8k", "documents": 2, "items": 2}]
    assert [(row["domain"], row["share"]) for row in shown["mixture"]] == [("web/en", 0.25), ("web/zh", 0.75)]
    assert shown["quality"] == shown["candidates"] == []


def test_a_damaged_mixture_is_named(corpus: Path) -> None:
    (corpus / "mixture.json").write_text('{"shares": ')
    with pytest.raises(DamagedArtifact, match=r"mixture\.json: not JSON .*written by the step curation: run that again"):
        overview_of(corpus)


def test_a_damaged_table_is_named(corpus: Path) -> None:
    (corpus / "metrics/documents.parquet").write_bytes(b"PAR1")
    with pytest.raises(DamagedArtifact, match=r"metrics/documents\.parquet: not a Parquet file, so this is not a"):
        overview_of(corpus)
