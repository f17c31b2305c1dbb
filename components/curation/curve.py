"""Measures the deduplication curve: the share of documents removed, by the number of sources deduplicated together.

In table 1 of arXiv 2401.02954, one dump of Common Crawl loses 22.2 % of its documents, and 91 dumps together lose 89.8 %. For
comparison, the curve also shows what the same sources lose if each is deduplicated separately.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from components import interim
from components.curation.config import CurationConfig
from components.curation.curate import read_shards
from components.curation.duplicates.deduplication import find_duplicates
from components.curation.duplicates.sketches import TextShard, text_shards
from components.curation.extraction.config import Extraction
from components.curation.extraction.extract import ExtractionShard, shards_of
from components.curation.filtering.decontamination import write_index
from components.curation.filtering.flagged_words import write_lists
from components.curation.pages.curve_page import write_page
from components.curation.reading.sources import list_files
from components.errors import SourceError
from components.files import JSON
from components.ports import Metrics, ShardEngine


@dataclass(frozen=True, kw_only=True, slots=True)
class CurvePoint:
    """What deduplication removes from the first `sources` sources together."""

    sources: int
    last: str
    """Name of the last of these sources."""
    documents: int
    """Documents that passed the filters, before deduplication."""
    bytes: int
    """Bytes of these documents."""
    removed_documents: int
    removed_bytes: int
    removal_rate: float
    """`removed_documents` as a share of `documents`."""
    removal_rate_of_bytes: float
    """`removed_bytes` as a share of `bytes`."""
    removal_rate_apart: float
    """Share of documents that is removed if each source is deduplicated separately."""


def measure_curve(
    config: CurationConfig, *, output: Path, scratch: Path, engine: ShardEngine, metrics: Metrics
) -> dict[str, JSON]:
    """Write `curve.csv`, `curve.json`, `curve.png` and `curve.html` below `output`; return the last point and all `points`.

    Sources are added in the order of the config. Shards that a killed run with the same `scratch` finished are reused.

    Raises:
        SourceError: a source is missing or empty, or none of its documents passes the filters.
        ConfigError: a source has an unknown URI scheme.
        StoreError: an object store cannot be reached, or denies access.
    """
    texts = _texts_by_source(config, scratch, engine, metrics)
    alone = [_loss(own, config, scratch / f"apart-{number:05d}", engine) for number, own in enumerate(texts)]
    points = []
    for count in counts_up_to(len(texts)):
        together = [path for own in texts[:count] for path in own]
        loss = alone[0] if count == 1 else _loss(together, config, scratch / "together", engine)
        points.append(_point(config.sources[count - 1].name, count, loss, alone[:count]))
    rows = [asdict(point) for point in points]
    write_table(rows, output)
    write_page(rows, output)
    return {name: rows[-1][name] for name in ("sources", "documents", "removal_rate", "removal_rate_apart")} | {"points": rows}


def counts_up_to(sources: int) -> list[int]:
    """The numbers of sources at which the curve has a point: 1, 2, 3, 4, 6, 8, 12, 16, 24, …, and `sources` itself."""
    steps = {base << shift for base in (2, 3) for shift in range(sources.bit_length())}
    return sorted({1, sources, *(step for step in steps if step < sources)})


def _texts_by_source(config: CurationConfig, scratch: Path, engine: ShardEngine, metrics: Metrics) -> list[list[Path]]:
    """The text shards of each source, with the documents that pass the filters, numbered uniquely across all sources."""
    owned = [(index, shard) for index, source in enumerate(config.sources) for shard in _shards(config.extraction.of((source,)))]
    shards = [
        replace(shard, number=number, directory=str(scratch / "read" / f"{number:05d}"))
        for number, (_, shard) in enumerate(owned)
    ]
    if config.filtering.benchmarks:
        write_index(config.filtering, scratch / "read")
    if config.filtering.flagged_words:
        write_lists(config.filtering.flagged_words, scratch / "read")
    texts: list[list[Path]] = [[] for _ in config.sources]
    read, _ = read_shards(shards, engine, metrics, index=None)
    for (index, _), extracted in zip(owned, read, strict=True):
        texts[index] += extracted.texts
    for source, own in zip(config.sources, texts, strict=True):
        if not own:
            raise SourceError(f"source {source.label}: none of its documents passed the filters; nothing to deduplicate")
    return texts


def _shards(extraction: Extraction) -> list[ExtractionShard]:
    return shards_of(list_files(extraction.reading).files, extraction, Path())


Loss = tuple[int, int, int, int]
"""Documents, bytes, removed documents, removed bytes."""


def _loss(texts: Sequence[Path], config: CurationConfig, scratch: Path, engine: ShardEngine) -> Loss:
    shards = text_shards(texts, scratch)
    find_duplicates(shards, config.duplicates, scratch, engine, memory=config.shard_bytes)
    return engine.reduce(_sum, engine.map_shards(count_losses, shards, description="count losses"))


def count_losses(shard: TextShard) -> Loss:
    """Documents and bytes of one text shard, and those removed by its verdicts."""
    table, judged = pq.read_table(shard.texts, columns=["document", "bytes"]), interim.read(shard.verdicts, ["document", "kept"])
    size = table["bytes"].to_numpy()
    removed_documents = judged["document"].to_numpy()[judged["kept"].to_numpy() >= 0]
    removed = np.isin(table["document"].to_numpy(), removed_documents)
    return len(size), int(size.sum()), int(removed.sum()), int(size[removed].sum())


def _sum(first: Loss, second: Loss) -> Loss:
    documents, size, removed, removed_size = (a + b for a, b in zip(first, second, strict=True))
    return documents, size, removed, removed_size


def _point(last: str, count: int, loss: Loss, alone: Sequence[Loss]) -> CurvePoint:
    documents, size, removed, removed_size = loss
    return CurvePoint(
        sources=count,
        last=last,
        documents=documents,
        bytes=size,
        removed_documents=removed,
        removed_bytes=removed_size,
        removal_rate=removed / documents,
        removal_rate_of_bytes=removed_size / size,
        removal_rate_apart=sum(removed for _, _, removed, _ in alone) / documents,
    )


def write_table(rows: Sequence[dict[str, JSON]], output: Path) -> None:
    """Write the curve as `curve.csv` and `curve.json`."""
    (output / "curve.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    with (output / "curve.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
