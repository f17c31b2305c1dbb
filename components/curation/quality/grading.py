"""The quality step: trains a classifier for each language, scores all documents and refuses those with the lowest scores.

1. The references are read and filtered like sources.
2. A sample is drawn of each language in each domain.
3. A worker trains a classifier on each language's sample.
4. Every document is scored, and the scores are counted in histograms.
5. Each language in each domain is cut at its own quantile, and the remaining documents get their quality.

Documents in a language with too few references, or too few other documents, are neither scored nor refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components import interim
from components.artifacts import sha256_of_file
from components.curation import tables
from components.curation.duplicates.sketches import bytes_of
from components.curation.extraction.config import Extraction
from components.curation.extraction.extract import ExtractedShard, extract, shards_of, texts_path
from components.curation.quality.calibration import (
    Calibration,
    Group,
    Histogram,
    add_histograms,
    bin_counts,
    bins_of,
    calibrate,
)
from components.curation.quality.classifier import HELD_OUT, Classifier, learn
from components.curation.quality.config import QualityConfig
from components.curation.quality.sample import draw, groups_of
from components.curation.reading.sources import list_files
from components.curation.tables.reasons import LOW_QUALITY
from components.curation.tables.sorting import starts
from components.errors import SourceError
from components.files import JSON
from components.ports import ShardEngine

BATCH = 4096
"""Documents read from a text shard at a time."""

SCORES = pa.schema({"document": pa.int64(), "bin": pa.int32()})
"""The bin of each document's log-odds, or -1 if its language has no classifier; sorted by document number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedClassifier:
    """Facts about a trained classifier, for the metrics and figures."""

    language: str
    reference_documents: int
    """Number of references in that language, whether or not they are in the sample."""
    auc: float | None
    """Area under the ROC curve on held-out documents; None if they are all of one kind."""
    sha256: str
    """sha256 of the classifier's file, in hex."""


def grade(
    quality: QualityConfig,
    extraction: Extraction,
    shards: Sequence[ExtractedShard],
    output: Path,
    scratch: Path,
    engine: ShardEngine,
) -> tuple[list[ExtractedShard], dict[str, JSON]]:
    """Score all documents and refuse the lowest; return the shards without the refused documents, and figures.

    The references are read with the settings in `extraction`, like the shards. Writes `quality/LANGUAGE.npz` and
    `metrics/quality.parquet` below `output`.

    Raises:
        SourceError: a reference cannot be read, or no language has enough references and other documents.
    """
    if not any(shard.text_shards for shard in shards):
        return list(shards), {}
    models = output / "quality"

    # Learn a classifier for each language.
    references = read_references(extraction.of_references(quality.references), scratch, engine)
    texts = [path for shard in shards for path in shard.texts]
    samples, counts = draw(quality, references, texts, scratch, engine, seed=extraction.reading.seed)
    trained = engine.map_shards(partial(train, models=models, counts=counts), samples, description="train quality classifiers")
    classifiers = sorted((classifier for of_sample in trained for classifier in of_sample), key=lambda c: c.language)

    # Score, calibrate, refuse.
    histograms = engine.map_shards(partial(measure, models=models), list(shards), description="score quality")
    histogram = engine.reduce(add_histograms, histograms)
    calibrations = calibrate(histogram, quality.max_refused_share)
    refuse = partial(refuse_lowest, calibrations=calibrations)
    graded = engine.map_shards(refuse, list(shards), description="refuse low quality")

    tables.write(output / "metrics" / "quality.parquet", _metrics(histogram, calibrations, classifiers))
    figures = {c.language: {"sha256": c.sha256, "auc": c.auc, "references": c.reference_documents} for c in classifiers}
    return graded, {"quality": figures}


def read_references(extraction: Extraction, scratch: Path, engine: ShardEngine) -> list[Path]:
    """The text shards of the references, normalised and filtered like those of the sources."""
    shards = shards_of(list_files(extraction.reading).files, extraction, scratch / "references")
    read = engine.map_shards(extract, shards, description="read references")
    for shard in read:
        for row in pq.read_table(shard.set_aside).to_pylist():
            raise SourceError(f"reference {row['source']}: {row['path']} cannot be read ({row['error']}); repair or remove it")
    texts = [path for shard in read for path in shard.texts]
    if not texts:
        names = ", ".join(source.label for source in extraction.reading.sources)
        raise SourceError(f"curation.quality.references: the filters refuse every document of {names}; use other references")
    return texts


def train(sample: Path, *, models: Path, counts: Mapping[str, int]) -> list[TrainedClassifier]:
    """Train a classifier for each language in one partition of `sample.SAMPLE`, and write it below `models`.

    `counts` is the number of references of each language.
    """
    trained = []
    table = interim.read(sample)
    for language in sorted(set(table["language"].to_pylist())):
        own = table.filter(pc.equal(table["language"], language))
        # Rows are sorted by order, so copies of a text from several shards are adjacent; keep one of them.
        own = own.filter(pa.array(starts(own["order"].to_numpy(), own["reference"].to_numpy(zero_copy_only=False))))
        held_out = own["order"].to_numpy() % np.uint64(HELD_OUT) == 0
        classifier, auc = learn(own["features"], own["reference"].to_numpy(zero_copy_only=False), held_out)
        path = models / f"{language}.npz"
        classifier.save(path)
        digest = sha256_of_file(path)
        trained.append(TrainedClassifier(language=language, reference_documents=counts[language], auc=auc, sha256=digest))
    return trained


def measure(shard: ExtractedShard, *, models: Path) -> Histogram:
    """Score a shard's documents, write the scores as `SCORES` beside its texts, and return their histogram."""
    histogram: Histogram = {}
    classifiers = {path.stem: Classifier.load(path) for path in sorted(models.glob("*.npz"))}
    with interim.writer(scores_path(shard), SCORES) as output:
        for path in shard.texts:
            with pq.ParquetFile(path) as texts:
                for batch in texts.iter_batches(batch_size=BATCH, columns=["document", "language", "domain", "bytes", "text"]):
                    bins = _bins(batch, classifiers)
                    output.write_table(pa.table([batch["document"], pa.array(bins, pa.int32())], schema=SCORES))
                    histogram = add_histograms(histogram, _histogram(batch, bins))
    return histogram


def scores_path(shard: ExtractedShard) -> Path:
    """Path of the table of a shard's scores."""
    return Path(shard.directory) / f"scores{interim.SUFFIX}"


def _bins(batch: pa.RecordBatch, classifiers: Mapping[str, Classifier]) -> npt.NDArray[np.int64]:
    """The bin of each document's score, or -1 if its language has no classifier."""
    bins = np.full(batch.num_rows, -1, dtype=np.int64)
    languages = np.array(batch["language"].to_pylist(), dtype=object)
    for language in sorted(set(languages) & classifiers.keys()):
        rows = np.flatnonzero(languages == language)
        bins[rows] = bins_of(classifiers[language].log_odds(*bytes_of(batch["text"].take(pa.array(rows)))))
    return bins


def _histogram(batch: pa.RecordBatch, bins: npt.NDArray[np.int64]) -> Histogram:
    groups, sizes = groups_of(batch), batch["bytes"].to_numpy()
    histogram = {}
    for group in sorted({own for own, bin_number in zip(groups, bins, strict=True) if bin_number >= 0}):
        rows = [own == group for own in groups]
        histogram[group] = bin_counts(bins[rows], sizes[rows])
    return histogram


def refuse_lowest(shard: ExtractedShard, *, calibrations: Mapping[Group, Calibration]) -> ExtractedShard:
    """Write a shard's texts that are not refused, and all its rows with their reasons; both with the quality of each document."""
    scores = interim.read(scores_path(shard))
    graded, documents, text_shards = replace(shard, graded=True), 0, 0
    for path in shard.texts:
        table = pq.read_table(path)
        judged, kept = _judged(table, _bins_of_documents(scores, table["document"].to_numpy()), calibrations)
        remaining = judged.filter(pa.array(kept))
        # An empty text shard is not written, because deduplication identifies text shards by their first document.
        if remaining.num_rows:
            tables.write(texts_path(Path(shard.directory), text_shards, graded=True), remaining)
            text_shards += 1
            documents += remaining.num_rows
    _write_rows(shard, graded, scores, calibrations)
    return replace(graded, text_shards=text_shards, documents=documents)


def _write_rows(
    shard: ExtractedShard, graded: ExtractedShard, scores: pa.Table, calibrations: Mapping[Group, Calibration]
) -> None:
    table = pq.read_table(shard.rows)
    document = table["document"].to_numpy()
    # Rows that filters refused have no document number and no score.
    bins = np.where(document >= 0, _bins_of_documents(scores, document), -1)
    judged, kept = _judged(table, bins, calibrations)
    reason = pc.if_else(pa.array(kept), judged["reason"], LOW_QUALITY)
    tables.write(graded.rows, _with_column(judged, "reason", reason))


def _bins_of_documents(scores: pa.Table, document: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The bin of each document, int64 [documents]; `scores` is sorted by document number."""
    bins = np.append(scores["bin"].to_numpy(), -1)
    return bins[np.searchsorted(scores["document"].to_numpy(), document)]


def _judged(
    table: pa.Table, bins: npt.NDArray[np.int64], calibrations: Mapping[Group, Calibration]
) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
    """The table with the quality of each row, and which rows are not refused."""
    quality, kept = np.full(table.num_rows, np.nan, dtype=np.float32), np.ones(table.num_rows, dtype=bool)
    groups = groups_of(table)
    for row in np.flatnonzero(bins >= 0).tolist():
        calibration = calibrations[groups[row]]
        quality[row], kept[row] = calibration.quality[bins[row]], bins[row] >= calibration.cut
    return _with_column(table, "quality", pa.array(quality, pa.float32(), from_pandas=True)), kept


def _with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    column = table.column_names.index(name)
    return table.set_column(column, table.schema.field(column), values.cast(table.schema.field(column).type))


def _metrics(
    histogram: Histogram, calibrations: Mapping[Group, Calibration], classifiers: Sequence[TrainedClassifier]
) -> pa.Table:
    """What was refused of each language and domain, as `tables.QUALITY`."""
    by_language, rows = {classifier.language: classifier for classifier in classifiers}, []
    for (language, domain), (documents, sizes) in sorted(histogram.items()):
        calibration = calibrations[language, domain]
        rows.append(
            {
                "language": language,
                "domain": domain,
                "reference_documents": by_language[language].reference_documents,
                "auc": by_language[language].auc,
                "cut": calibration.log_odds,
                "documents": int(documents.sum()),
                "bytes": int(sizes.sum()),
                "refused_documents": int(documents[: calibration.cut].sum()),
                "refused_bytes": int(sizes[: calibration.cut].sum()),
            }
        )
    return pa.Table.from_pylist(rows, tables.QUALITY)
