"""The quality step: a classifier for each language learned from references, scores calibrated, the lowest refused.

(1) the references are read and filtered as sources are; (2) of each language in each domain a sample is drawn; (3) a worker
trains on a language's sample; (4) every document is scored, and the scores are counted; (5) each language in each domain is cut
at its own quantile, and texts go on with their quality. A language that has too few references, or too few documents to learn
from, is not scored and loses nothing.
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
from components.curation.config import CurationConfig
from components.curation.duplicates.sketches import bytes_of
from components.curation.extraction.extract import ExtractedShard, extract, shards_of, texts_path
from components.curation.quality.calibration import Group, Histogram, Standing, added, bins_of, counted, standings
from components.curation.quality.classifier import HELD_OUT, Classifier, learn
from components.curation.quality.sample import draw, groups_of
from components.curation.reading.sources import list_files, reading_of_references
from components.curation.tables.reasons import LOW_QUALITY
from components.errors import SourceError
from components.ports import ShardEngine

BATCH = 4096
"""Documents taken from a part at a time."""

SCORES = pa.schema({"document": pa.int64(), "bin": pa.int32()})
"""The bin of each document's log-odds, or -1 where its language has no classifier."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """A classifier that was trained."""

    language: str
    reference_documents: int
    """References of that language, whether or not they were drawn."""
    auc: float | None
    sha256: str


def grade(
    config: CurationConfig, shards: Sequence[ExtractedShard], output: Path, scratch: Path, engine: ShardEngine
) -> tuple[list[ExtractedShard], dict[str, Any]]:
    """Score and refuse; the shards with what is left of them, and figures.

    Writes `quality/LANGUAGE.npz` and `metrics/quality.parquet` below `output`.

    Raises:
        SourceError: a reference cannot be read, or no language has enough of them.
    """
    if not any(shard.text_shards for shard in shards):
        return list(shards), {}
    references = read_references(config, scratch, engine)
    texts = [part for shard in shards for part in shard.texts]
    samples, counts = draw(config, references, texts, scratch, engine)
    trained = engine.map_shards(partial(train, place=output / "quality", counts=counts), samples, description="learn quality")
    learned = sorted((one for found in trained for one in found), key=lambda one: one.language)
    measured = engine.map_shards(partial(measure, models=output / "quality"), list(shards), description="score quality")
    histogram = engine.reduce(added, measured)
    cut = standings(histogram, config.quality.max_removed_share)
    graded = engine.map_shards(partial(settle, standing=cut), list(shards), description="refuse the lowest quality")
    tables.write(output / "metrics" / "quality.parquet", _outcome(histogram, cut, learned))
    figures = {one.language: {"sha256": one.sha256, "auc": one.auc, "references": one.reference_documents} for one in learned}
    return graded, {"quality": figures}


def read_references(config: CurationConfig, scratch: Path, engine: ShardEngine) -> list[Path]:
    """The texts of the references, normalised and filtered as those of the sources."""
    reading = reading_of_references(config)
    shards = shards_of(list_files(reading).files, reading, scratch / "references")
    read = engine.map_shards(extract, shards, description="read references")
    for shard in read:
        for row in pq.read_table(shard.set_aside).to_pylist():
            raise SourceError(f"reference {row['source']}: {row['uri']} cannot be read ({row['error']}); mend or remove it")
    parts = [part for shard in read for part in shard.texts]
    if not parts:
        names = ", ".join(source.uri for source in reading.sources)
        raise SourceError(f"quality.references: the filters refuse every document of {names}; name others")
    return parts


def train(sample: Path, *, place: Path, counts: Mapping[str, int]) -> list[Learned]:
    """Train on each language of one partition of `SAMPLE`, and write its classifier."""
    found = []
    table = interim.read(sample)
    for language in sorted(set(table["language"].to_pylist())):
        own = table.filter(pc.equal(table["language"], language))
        held = own["order"].to_numpy() % np.uint64(HELD_OUT) == 0
        classifier, auc = learn(own["features"], own["reference"].to_numpy(zero_copy_only=False), held)
        path = model_of(place, language)
        classifier.save(path)
        digest = sha256_of_file(path)
        found.append(Learned(language=language, reference_documents=counts[language], auc=auc, sha256=digest))
    return found


def model_of(place: Path, language: str) -> Path:
    """Where the classifier of a language is."""
    return place / f"{language}.npz"


def measure(shard: ExtractedShard, *, models: Path) -> Histogram:
    """Score a shard's documents, as `SCORES` beside its texts, and count the scores."""
    histogram: Histogram = {}
    known = {path.stem: Classifier.load(path) for path in sorted(models.glob("*.npz"))}
    with interim.writer(scores_of(shard), SCORES) as output:
        for part in shard.texts:
            with pq.ParquetFile(part) as opened:
                for batch in opened.iter_batches(batch_size=BATCH, columns=["document", "language", "domain", "bytes", "text"]):
                    bins = _scored(batch, known)
                    output.write_table(pa.table([batch["document"], pa.array(bins, pa.int32())], schema=SCORES))
                    histogram = added(histogram, _histogram(batch, bins))
    return histogram


def scores_of(shard: ExtractedShard) -> Path:
    """Where the scores of a shard are."""
    return Path(shard.directory) / f"scores{interim.SUFFIX}"


def _scored(batch: pa.RecordBatch, known: Mapping[str, Classifier]) -> npt.NDArray[np.int64]:
    bins = np.full(batch.num_rows, -1, dtype=np.int64)
    languages = np.array(batch["language"].to_pylist(), dtype=object)
    for language in sorted(set(languages) & known.keys()):
        rows = np.flatnonzero(languages == language)
        bins[rows] = bins_of(known[language].log_odds(*bytes_of(batch["text"].take(pa.array(rows)))))
    return bins


def _histogram(batch: pa.RecordBatch, bins: npt.NDArray[np.int64]) -> Histogram:
    groups, sizes = groups_of(batch), batch["bytes"].to_numpy()
    found = {}
    for group in sorted({group for group, place in zip(groups, bins, strict=True) if place >= 0}):
        rows = [one == group for one in groups]
        found[group] = counted(bins[rows], sizes[rows])
    return found


def settle(shard: ExtractedShard, *, standing: Mapping[Group, Standing]) -> ExtractedShard:
    """Write a shard's texts without what is refused and its rows with what became of them, each with its quality."""
    scores = interim.read(scores_of(shard))
    places = np.append(scores["bin"].to_numpy(), -1)
    graded, documents, parts = replace(shard, graded=True), 0, 0
    for part in shard.texts:
        table = pq.read_table(part)
        listed = np.searchsorted(scores["document"].to_numpy(), table["document"].to_numpy())
        judged, kept = _judged(table, places[listed], standing)
        left = judged.filter(pa.array(kept))
        # Deduplication tells parts by their first documents: an empty one has none.
        if left.num_rows:
            tables.write(texts_path(Path(shard.directory), parts, graded=True), left)
            parts += 1
            documents += left.num_rows
    _settle_rows(shard, graded, scores, standing)
    return replace(graded, text_shards=parts, documents=documents)


def _settle_rows(shard: ExtractedShard, graded: ExtractedShard, scores: pa.Table, standing: Mapping[Group, Standing]) -> None:
    table = pq.read_table(shard.rows)
    document = table["document"].to_numpy()
    listed = np.searchsorted(scores["document"].to_numpy(), document)
    places = np.where(document >= 0, np.append(scores["bin"].to_numpy(), -1)[listed], -1)
    judged, kept = _judged(table, places, standing)
    reason = pc.if_else(pa.array(kept), judged["reason"], LOW_QUALITY)
    tables.write(graded.rows, _with(judged, "reason", reason))


def _judged(
    table: pa.Table, places: npt.NDArray[np.int64], standing: Mapping[Group, Standing]
) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
    """The table with the quality of each row, and which rows are not refused."""
    quality, kept = np.full(table.num_rows, np.nan, dtype=np.float32), np.ones(table.num_rows, dtype=bool)
    groups = groups_of(table)
    for row in np.flatnonzero(places >= 0).tolist():
        own = standing[groups[row]]
        quality[row], kept[row] = own.quality[places[row]], places[row] >= own.cut
    return _with(table, "quality", pa.array(quality, pa.float32(), from_pandas=True)), kept


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, table.schema.field(place), values.cast(table.schema.field(place).type))


def _outcome(histogram: Histogram, standing: Mapping[Group, Standing], learned: Sequence[Learned]) -> pa.Table:
    facts, rows = {one.language: one for one in learned}, []
    for (language, domain), (documents, sizes) in sorted(histogram.items()):
        own = standing[language, domain]
        rows.append(
            {
                "language": language,
                "domain": domain,
                "reference_documents": facts[language].reference_documents,
                "auc": facts[language].auc,
                "cut": own.log_odds,
                "documents": int(documents.sum()),
                "bytes": int(sizes.sum()),
                "refused_documents": int(documents[: own.cut].sum()),
                "refused_bytes": int(sizes[: own.cut].sum()),
            }
        )
    return pa.Table.from_pylist(rows, tables.QUALITY)
