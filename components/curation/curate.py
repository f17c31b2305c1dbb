"""The curation step: sources in, a deduplicated and split corpus with its mixture out."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.curation import tables
from components.curation.config import CurationConfig
from components.curation.corpus.evidence import write_samples
from components.curation.corpus.layout import figures_of, plan_files, write_documents
from components.curation.corpus.ledger import added, training_languages, write_ledger
from components.curation.corpus.mixture import mixture_of, require_languages
from components.curation.corpus.records import write_clusters, write_evidence, write_groups, write_metrics
from components.curation.corpus.split import assign
from components.curation.duplicates.audit import audit
from components.curation.duplicates.deduplication import find_duplicates
from components.curation.duplicates.shard_cache import read_shard
from components.curation.extraction.extract import ExtractedShard, ExtractionShard, shards_of
from components.curation.filtering.decontamination import search_figures, write_index
from components.curation.filtering.flagged_words import write_lists
from components.curation.passages.passage_deduplication import find_passages, write_passages
from components.curation.quality.grading import grade
from components.curation.reading.sources import Listing, SkippedFile, list_files, stamp
from components.errors import SourceError
from components.ports import Metrics, ShardEngine


def curate(
    config: CurationConfig, *, output: Path, scratch: Path, engine: ShardEngine, metrics: Metrics, index: Path | None = None
) -> dict[str, Any]:
    """Write the corpus below `output`; figures: documents and bytes, refusals by reason, and bytes by domain and split.

    The bytes of every file depend on the sources and the config alone, not on the engine or its workers.
    A shard that was read before the step was killed is taken from `scratch`, and one that an earlier corpus has read too from
    `index`, a directory for runs of the same code: metrics tell how many documents were read and hashed.

    Raises:
        SourceError: a source is missing, empty or gives no document; a source or the config changed since the run that `scratch`
            is of was begun; or a domain's languages are not those that have shares.
            A file that is damaged, or of too many bad lines, is set aside instead.
        ConfigError: a source of an unknown scheme.
        StoreError: an object store cannot be reached, or refuses.
    """
    listing = list_files(config)
    shards = shards_of(listing.files, config, scratch / "read")
    tables.write(output / "shards.parquet", _plan(shards, listing.skipped))
    items = write_index(config, scratch / "read") if config.benchmarks else tables.BENCHMARKS.empty_table()
    tables.write(output / "benchmarks.parquet", items)
    counted = search_figures(items) if config.benchmarks else {}
    if config.flagged_words:
        write_lists(config, scratch / "read")
    _require_unchanged(config, listing, scratch)
    index = index if config.keep_shards else None
    read, documents_read = read_shards(shards, engine, metrics, index)
    extracted = read
    learned: dict[str, Any] = {}
    if config.quality.references:
        extracted, learned = grade(config, extracted, output, scratch / "quality", engine)
    texts = [part for shard in extracted for part in shard.texts]
    duplicates = find_duplicates(texts, config, scratch / "duplicates", engine, index=index)
    metrics.log(0, {"documents_read": documents_read, "documents_hashed": duplicates.hashed})
    passages = find_passages(texts, duplicates.verdicts, config, scratch / "passages", engine)
    trimmed = by_shard(extracted, passages.trimmed)
    outcomes = list(zip(extracted, by_shard(extracted, duplicates.verdicts), trimmed, strict=True))
    tally = engine.reduce(added, engine.map_shards(write_ledger, outcomes, description="join verdicts"))
    set_aside = pa.concat_tables([pq.read_table(shard.set_aside) for shard in extracted])
    tally.add_set_aside(set_aside)
    tally.require_documents(config)
    sizes, linked = tally.sizes_by_group(), listing.linked
    splits = assign(sizes, linked, share=config.validation_share, seed=config.seed)
    languages = _languages(extracted, splits, config, engine)
    require_languages(config, languages)
    mixture = mixture_of(config, languages)
    portion_files = plan_files(sizes, splits, languages, mixture, config)
    write_documents(extracted, trimmed, splits, portion_files, mixture, output, scratch, engine)
    write_metrics(extracted, splits, output / "metrics" / "documents.parquet")
    memory = config.shard_bytes
    tables.write(output / "metrics" / "sources.parquet", tally.sources(config))
    tables.write(output / "metrics" / "refusals.parquet", tally.refusals())
    tables.write(output / "metrics" / "set_aside.parquet", set_aside)
    tables.join(output / "contamination.parquet", tables.CONTAMINATION, [shard.contamination for shard in extracted])
    tables.write(output / "metrics" / "personal_data.parquet", _personal_data(extracted))
    clusters = output / "metrics" / "clusters.parquet"
    write_clusters(extracted, tally.documents_by_source(), clusters, scratch, engine, memory=memory)
    if config.samples:
        write_samples(config, read, outcomes, output, engine)
    write_evidence(duplicates.verdicts, output / "removed.parquet", scratch, engine, memory=memory)
    write_passages(passages, output, scratch, engine)
    audited = audit(texts, duplicates.verdicts, config, scratch / "audit", engine)
    tables.write(output / "metrics" / "audit.parquet", audited.pairs)
    tables.write(output / "metrics" / "precision.parquet", audited.table())
    tables.join(output / "raw.parquet", tables.RAW, [shard.raw for shard in extracted])
    write_groups(extracted, list(linked), splits, output / "groups.parquet", scratch, engine, memory=memory)
    (output / "mixture.json").write_text(mixture.to_json())
    found = {**duplicates.figures, "audit": audited.figures()}
    skipped = {"files_not_read": listing.skipped_by_suffix()}
    return {**tally.figures(), **skipped, **counted, **learned, "deduplication": found, "domains": figures_of(sizes, splits)}


def _languages(
    extracted: Sequence[ExtractedShard], splits: Mapping[str, str], config: CurationConfig, engine: ShardEngine
) -> dict[str, dict[str, int]]:
    """Bytes to train on of each language in each domain; nothing, where the mixture does not ask for them."""
    if not config.language_shares and config.language_temperature is None:
        return {}
    counts = engine.map_shards(partial(training_languages, splits=splits), extracted, description="count languages")
    sizes: dict[str, dict[str, int]] = {}
    for (domain, language), size in sorted(sum(counts, Counter()).items()):
        sizes.setdefault(domain, {})[language] = size
    return sizes


def _plan(shards: Sequence[ExtractionShard], skipped: Sequence[SkippedFile]) -> pa.Table:
    rows = [
        {"shard": shard.number, "source": shard.config.sources[file.source_indices[0]].uri, "uri": file.uri, "bytes": file.size}
        for shard in shards
        for file in shard.files
    ]
    rows += [{"shard": None, "source": file.source, "uri": file.uri, "bytes": file.size} for file in skipped]
    return pa.Table.from_pylist(rows, tables.SHARDS)


def _require_unchanged(config: CurationConfig, listing: Listing, scratch: Path) -> None:
    """Write down what a run begins with, or raise `SourceError` where another one left its work: what it finished is of that."""
    begun = scratch / "begun.json"
    now = json.loads(json.dumps({"files": stamp(config, listing), **asdict(config)}))
    if not begun.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        partial = begun.with_suffix(".partial")
        partial.write_text(json.dumps(now))
        partial.replace(begun)
        return
    before = json.loads(begun.read_text())
    changed = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if changed:
        what = ", ".join("the sources" if name == "files" else f"CurationConfig.{name}" for name in changed)
        raise SourceError(f"{begun}: {what} changed since this run was begun; delete {scratch} to begin again, or name another")


def _personal_data(extracted: Sequence[ExtractedShard]) -> pa.Table:
    found = pa.concat_tables([pq.read_table(shard.personal_data) for shard in extracted])
    keys = ["source", "domain", "kind"]
    total = found.group_by(keys, use_threads=False).aggregate([("documents", "sum"), ("found", "sum")])
    named = total.rename_columns({"documents_sum": "documents", "found_sum": "found"})
    return named.select(tables.PERSONAL_DATA.names).sort_by([(key, "ascending") for key in keys])


def by_shard(shards: Sequence[ExtractedShard], files: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Files of parts as those of each shard; none, if there are none."""
    waiting = iter(files)
    return [tuple(next(waiting) for _ in shard.texts) if files else () for shard in shards]


def read_shards(
    shards: list[ExtractionShard], engine: ShardEngine, metrics: Metrics, index: Path | None
) -> tuple[list[ExtractedShard], int]:
    """Read and filter every shard that the index does not know, telling how many raw bytes are done; also the documents read."""
    sizes = [sum(file.size for file in shard.files) for shard in shards]
    found = engine.map_shards(
        partial(read_shard, index=index),
        shards,
        description="read and filter",
        finished=lambda done: metrics.progress(sum(sizes[:done]), sum(sizes), "bytes"),
    )
    read = sum(pq.read_metadata(shard.rows).num_rows for shard, known in found if not known)
    return [shard for shard, _ in found], read
