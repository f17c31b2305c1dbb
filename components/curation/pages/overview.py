"""Summarises a corpus from its tables: counts, histograms, samples and clusters.

Memory is bounded: the table with a row for each document is read in batches; the size of the other tables depends only on the
number of sources, languages and reasons.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import MANIFEST, Manifest, Mixture
from components.curation.corpus.evidence import CLUSTER
from components.errors import DamagedArtifact

Row = dict[str, Any]

BATCH = 1 << 16
"""Rows of the metrics table that are read at a time."""

SHARES = 20
"""Number of bins for values between 0 and 1."""

LENGTHS = 28
"""Number of bins for lengths; each is twice as wide as the one before, up to 128 MiB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Histogram:
    """The number of kept and of removed documents in each bin."""

    title: str
    caption: str
    labels: tuple[str, ...]
    """Label of each bin."""
    kept: tuple[int, ...]
    """Kept documents in each bin."""
    removed: tuple[int, ...]
    """Documents refused by filters or removed as duplicates, in each bin."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """How much of one domain, language or source is kept."""

    name: str
    documents: int
    bytes: int
    kept_documents: int
    kept_bytes: int
    reasons: tuple[tuple[str, int], ...]
    """(Reason, documents) for the documents that were not kept, the most frequent first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The contents of a corpus's page."""

    domains: tuple[Share, ...]
    languages: tuple[Share, ...]
    sources: tuple[Share, ...]
    reasons: tuple[tuple[str, int, int], ...]
    """(Reason, documents, bytes) for what was not kept, the most frequent first."""
    histograms: tuple[Histogram, ...]
    samples: dict[str, dict[str, list[Row]]]
    """Rows of `samples.parquet` by step and reason."""
    clusters: tuple[Row, ...]
    """The largest clusters; `members` are those of their removed documents that are among the samples."""
    tables: dict[str, list[Row]]
    """Rows of the small tables: quality, personal_data, contamination, set_aside, mixture, candidates and precision."""
    config: str = ""
    """The resolved configuration as JSON; empty without a manifest."""
    digest: str = ""
    """The evidence digest; empty without a manifest."""

    @property
    def total(self) -> Share:
        """The sums over all domains."""
        sums = {
            name: sum(getattr(domain, name) for domain in self.domains)
            for name in ("documents", "bytes", "kept_documents", "kept_bytes")
        }
        return Share(name="all", reasons=tuple((name, count) for name, count, _ in self.reasons), **sums)


def overview_of(corpus: Path, manifest: Manifest | None = None) -> Overview:
    """The overview of a corpus, without reading its documents.

    Without `manifest`, the manifest in the directory is used, if there is one.

    Raises:
        DamagedArtifact: `metrics/documents.parquet` or `metrics/refusals.parquet` is missing, or a table cannot be read.
    """
    # Read the tables.
    refusals = _rows(corpus, "metrics/refusals", required=True)
    samples = _rows(corpus, "samples")
    by_step: dict[str, dict[str, list[Row]]] = {}
    for row in samples:
        by_step.setdefault(row["step"], {}).setdefault(row["reason"], []).append(row)

    # Sum over sources, domains and languages.
    reasons: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for row in refusals:
        reasons[row["reason"]] += row["documents"]
        sizes[row["reason"]] += row["bytes"]
    manifest = manifest or _manifest(corpus)
    return Overview(
        domains=_shares(refusals, "domain"),
        languages=_shares(refusals, "language"),
        sources=_shares(refusals, "source"),
        reasons=tuple((name, count, sizes[name]) for name, count in _frequent(reasons) if name),
        histograms=tuple(_histograms(corpus)),
        samples={step: by_reason for step, by_reason in by_step.items() if step != CLUSTER},
        clusters=_clusters(_rows(corpus, "metrics/clusters"), by_step.get(CLUSTER, {})),
        tables={
            "mixture": _mixture(corpus),
            "quality": _rows(corpus, "metrics/quality"),
            "personal_data": _rows(corpus, "metrics/personal_data"),
            "contamination": _contamination(_rows(corpus, "contamination")),
            "set_aside": _rows(corpus, "metrics/set_aside"),
            "candidates": _candidates(manifest),
            "precision": _rows(corpus, "metrics/precision"),
        },
        config=json.dumps(manifest.config, indent=1, sort_keys=True, ensure_ascii=False) if manifest else "",
        digest=manifest.digest if manifest else "",
    )


def _manifest(corpus: Path) -> Manifest | None:
    path = corpus / MANIFEST
    return Manifest.from_bytes(path.read_bytes(), str(path)) if path.is_file() else None


def _candidates(manifest: Manifest | None) -> list[Row]:
    """How many candidate pairs were similar; this is in the figures of the manifest, not in a table."""
    figures = manifest.figures.get("deduplication") if manifest else None
    return [dict(figures)] if isinstance(figures, Mapping) and "precision_before_verification" in figures else []


def _rows(corpus: Path, name: str, *, required: bool = False) -> list[Row]:
    path = corpus / f"{name}.parquet"
    if not path.is_file() and not required:
        return []
    rows: list[Row] = _read(path).to_pylist()
    return rows


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, partitioning=None)
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DamagedArtifact:
    reason = "missing" if isinstance(error, FileNotFoundError) else "not a Parquet file"
    return DamagedArtifact(f"{path}: {reason}, so this is not a complete corpus; run the curation step again")


def _frequent(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _shares(refusals: Sequence[Row], name: str) -> tuple[Share, ...]:
    grouped: dict[str, list[Row]] = {}
    for row in refusals:
        grouped.setdefault(row[name], []).append(row)
    shares = []
    for key, rows in grouped.items():
        kept = [row for row in rows if not row["reason"]]
        removed: Counter[str] = Counter()
        for row in rows:
            removed[row["reason"]] += row["documents"]
        del removed[""]
        shares.append(
            Share(
                name=key,
                documents=sum(row["documents"] for row in rows),
                bytes=sum(row["bytes"] for row in rows),
                kept_documents=sum(row["documents"] for row in kept),
                kept_bytes=sum(row["bytes"] for row in kept),
                reasons=tuple(_frequent(removed)),
            )
        )
    return tuple(sorted(shares, key=lambda share: (-share.bytes, share.name)))


def _mixture(corpus: Path) -> list[Row]:
    if not (corpus / Mixture.NAME).is_file():
        return []
    mixture = Mixture.read(corpus)
    limits = {name: mixture.epoch_limits[name.partition("/")[0]] for name in mixture.portions}
    return [{"domain": name, "share": share, "epoch_limit": limits[name]} for name, share in sorted(mixture.portions.items())]


def _contamination(rows: Sequence[Row]) -> list[Row]:
    """Contaminated documents and matched items by benchmark."""
    documents: dict[str, set[str]] = {}
    items: dict[str, set[tuple[str, int]]] = {}
    for row in rows:
        documents.setdefault(row["benchmark"], set()).add(row["id"])
        items.setdefault(row["benchmark"], set()).add((row["file"], row["item"]))
    return [{"benchmark": name, "documents": len(documents[name]), "items": len(items[name])} for name in sorted(documents)]


def _clusters(rows: Sequence[Row], members: dict[str, list[Row]]) -> tuple[Row, ...]:
    """The clusters with members among the samples, the largest first."""
    clusters: dict[str, Row] = {}
    for row in rows:
        if row["kept"] in members:
            own = clusters.setdefault(
                row["kept"], {"kept": row["kept"], "documents": 0, "members": members[row["kept"]], "sources": []}
            )
            own["documents"] += row["documents"]
            own["sources"].append(row)
    return tuple(sorted(clusters.values(), key=lambda cluster: (-cluster["documents"], cluster["kept"])))


Counts = npt.NDArray[np.int64]


def _histograms(corpus: Path) -> Iterator[Histogram]:
    lengths, qualities, flagged = (np.zeros((2, bins), dtype=np.int64) for bins in (LENGTHS, SHARES, SHARES))
    for batch in _batches(corpus / "metrics" / "documents.parquet"):
        kept = batch["kept"].to_numpy(zero_copy_only=False)
        _count(lengths, np.log2(np.maximum(batch["bytes"].to_numpy(), 1)).astype(np.int64), kept)
        for name, counts, steps in (("quality", qualities, SHARES), ("flagged_words_ratio", flagged, FLAGGED_STEPS)):
            if name in batch.schema.names:
                values = batch[name].to_numpy(zero_copy_only=False).astype(np.float64)
                known = ~np.isnan(values)
                _count(counts, np.ceil(values[known] * steps).astype(np.int64) - (name == "quality"), kept[known])
    yield _histogram("Length", "Size of a document in bytes. Each bin is twice as wide as the one before.", _sizes(), lengths)
    shares = tuple(f"{number / SHARES:.2f}" for number in range(SHARES))
    if qualities.any():
        yield _histogram("Quality", "Share of documents in the same language and domain that scored lower.", shares, qualities)
    if flagged.any():
        ratios = ("0", *(f"{100 * number / FLAGGED_STEPS:g} %" for number in range(1, SHARES)))
        yield _histogram("Flagged words", "Share of flagged words. The last bin has all higher shares.", ratios, flagged)
    similarities = _similarities(corpus / "removed.parquet")
    if similarities.any():
        yield _histogram("Similarity of removed documents", "Jaccard similarity to the kept document.", shares, similarities)


FLAGGED_STEPS = 500
"""Bins of flagged-word shares per unit: each bin is 1/500 = 0.2 % wide."""


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as opened:
            names = [name for name in ("bytes", "kept", "quality", "flagged_words_ratio") if name in opened.schema_arrow.names]
            yield from opened.iter_batches(batch_size=BATCH, columns=names)
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise _damaged(path, error) from error


def _similarities(path: Path) -> Counts:
    counts = np.zeros((2, SHARES), dtype=np.int64)
    if path.is_file():
        with pq.ParquetFile(path) as opened:
            for batch in opened.iter_batches(batch_size=BATCH, columns=["similarity"]):
                values = batch["similarity"].to_numpy()
                _count(counts, np.ceil(values * SHARES).astype(np.int64) - 1, np.zeros(len(values), dtype=bool))
    return counts


def _count(counts: Counts, bins: Counts, kept: npt.NDArray[np.bool_]) -> None:
    inside = np.clip(bins, 0, counts.shape[1] - 1)
    np.add.at(counts, (np.where(kept, 0, 1), inside), 1)


def _sizes() -> tuple[str, ...]:
    units = ("B", "kB", "MB")
    return tuple(f"{2 ** (number % 10)} {units[number // 10]}" for number in range(LENGTHS))


def _histogram(title: str, caption: str, labels: tuple[str, ...], counts: Counts) -> Histogram:
    """A histogram without empty bins at either end; `counts` int64 [2, bins] has kept documents in row 0, others in row 1."""
    used = np.flatnonzero(counts.sum(axis=0))
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 1)
    kept, removed = (tuple(int(count) for count in row[first:last]) for row in counts)
    return Histogram(title=title, caption=caption, labels=labels[first:last], kept=kept, removed=removed)
