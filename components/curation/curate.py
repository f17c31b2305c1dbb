"""The curation step: sources in, a deduplicated and split corpus with its mixture out."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.curation import tables
from components.curation.config import CurationConfig
from components.curation.deduplication import find_duplicates
from components.curation.extraction import Extracted, ExtractionShard, extract, shards_of
from components.curation.layout import figures_of, shelves_of, write_documents
from components.curation.ledger import Tally, added, write_ledger
from components.curation.mixture import mixture_of
from components.curation.records import write_clusters, write_evidence, write_groups, write_metrics
from components.curation.sources import list_files
from components.curation.split import assign
from components.ports import Metrics, ShardEngine


def curate(config: CurationConfig, *, output: Path, scratch: Path, engine: ShardEngine, metrics: Metrics) -> dict[str, Any]:
    """Write the corpus below `output`; figures: documents and bytes, refusals by reason, and bytes by domain and split.

    The bytes of every file depend on the sources and the config alone, not on the engine or its workers.
    A shard that was read before the step was killed is taken from `scratch`.

    Raises:
        SourceError: a source is missing, empty, damaged, of too many bad lines, or gives no document.
        ConfigError: a source of an unknown scheme.
    """
    listing = list_files(config)
    shards = shards_of(listing.files, config, scratch / "read")
    extracted = read_shards(shards, engine, metrics)
    duplicates = find_duplicates([part for shard in extracted for part in shard.texts], config, scratch / "duplicates", engine)
    tally = count(extracted, duplicates.verdicts, engine)
    tally.require_documents(config)
    sizes, linked = tally.sizes_by_unit(), listing.linked
    splits = assign(sizes, linked, share=config.validation_share, seed=config.seed)
    write_documents(extracted, splits, shelves_of(sizes, splits, config), output, scratch, engine)
    write_metrics(extracted, splits, output / "metrics" / "documents.parquet")
    memory = config.shard_bytes
    tables.write(output / "metrics" / "sources.parquet", tally.sources(config))
    tables.write(output / "metrics" / "refusals.parquet", tally.refusals())
    clusters = output / "metrics" / "clusters.parquet"
    write_clusters(extracted, tally.documents_by_source(), clusters, scratch, engine, memory=memory)
    write_evidence(duplicates.verdicts, output / "removed.parquet", scratch, engine, memory=memory)
    tables.write(output / "raw.parquet", pa.concat_tables([pq.read_table(shard.raw) for shard in extracted]))
    write_groups(extracted, list(linked), splits, output / "groups.parquet", scratch, engine, memory=memory)
    (output / "mixture.json").write_text(json.dumps(asdict(mixture_of(config)), indent=1, sort_keys=True) + "\n")
    return {**tally.figures(), "deduplication": duplicates.figures, "domains": figures_of(sizes, splits)}


def count(shards: Sequence[Extracted], verdicts: Sequence[Path], engine: ShardEngine) -> Tally:
    """Write the ledger of every shard, and count what they hold together."""
    waiting = iter(verdicts)
    work = [(shard, tuple(next(waiting) for _ in shard.texts)) for shard in shards]
    return engine.reduce(added, engine.map_shards(write_ledger, work, description="join verdicts"))


def read_shards(shards: list[ExtractionShard], engine: ShardEngine, metrics: Metrics) -> list[Extracted]:
    """Read and filter every shard, telling how many raw bytes are done."""
    sizes = [sum(file.size for file in shard.files) for shard in shards]
    return engine.map_shards(
        extract,
        shards,
        description="read and filter",
        finished=lambda done: metrics.progress(sum(sizes[:done]), sum(sizes), "bytes"),
    )
