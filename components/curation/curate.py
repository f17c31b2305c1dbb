"""The curation step: turns sources into a deduplicated, split corpus with its mixture.

It has three phases: `_read` reads and filters raw files into shards, `_judge` scores quality and deduplicates across all shards,
and `_write` splits and writes the kept documents, and records why the others were removed.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import GroupSplits, Omissions, OmissionTally
from components.curation import tables
from components.curation.config import CurationConfig
from components.curation.corpus.config import CorpusConfig
from components.curation.corpus.evidence import write_samples
from components.curation.corpus.layout import Layout, figures_of, plan_files, write_documents
from components.curation.corpus.ledger import JudgedShard, Tally, added, judged_shards, training_languages, write_ledger
from components.curation.corpus.mixture import mixture_of, require_languages
from components.curation.corpus.omissions import omissions_of
from components.curation.corpus.records import write_clusters, write_evidence, write_groups, write_metrics
from components.curation.corpus.split import assign
from components.curation.duplicates.audit import Audit, audit
from components.curation.duplicates.deduplication import Duplicates, find_duplicates
from components.curation.duplicates.shard_cache import read_shard
from components.curation.duplicates.sketches import TextShard
from components.curation.extraction.extract import ExtractedShard, ExtractionShard, shards_of
from components.curation.filtering.decontamination import search_figures, write_index
from components.curation.filtering.flagged_words import write_lists
from components.curation.passages.passage_deduplication import TrimmedCorpus, find_passages, write_passages
from components.curation.quality.grading import grade
from components.curation.reading.sources import Listing, SkippedFile, list_files, stamp
from components.decides import deciding
from components.errors import SourceError
from components.files import JSON, read_json, write_json
from components.ports import Metrics, ShardEngine
from components.raw_files import RAW, write_locations


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """The arguments of `curate`, for every phase."""

    config: CurationConfig
    output: Path
    scratch: Path
    engine: ShardEngine
    metrics: Metrics
    index: Path | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """The result of the read phase."""

    listing: Listing
    shards: list[ExtractedShard]
    documents: int
    """Documents read in this run, without those taken from the cache `index`."""
    benchmark_figures: dict[str, int]
    omitted_items: Omissions
    """Items of benchmarks that could not be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Judged:
    """The result of the judge phase: which documents are kept, and why the others are not."""

    shards: list[JudgedShard]
    """Shards with the quality of their documents, if there is a quality score."""
    duplicates: Duplicates
    passages: TrimmedCorpus
    tally: Tally
    set_aside: pa.Table
    quality_figures: dict[str, JSON]

    @property
    def texts(self) -> list[TextShard]:
        """The text shards of all shards, in order."""
        return [text for shard in self.shards for text in shard.texts]


def curate(
    config: CurationConfig, *, output: Path, scratch: Path, engine: ShardEngine, metrics: Metrics, index: Path | None = None
) -> dict[str, JSON]:
    """Write the corpus below `output` and return figures: documents and bytes, refusals by reason, bytes by domain and split.

    The bytes of every file depend only on the sources and the config, not on the engine or its workers.

    If an earlier run with the same `scratch` was killed, shards that it finished are reused. `index` is a cache of shards that
    runs of the same code share, so that shards of an earlier corpus are reused too. The metrics `documents_read` and
    `documents_hashed` count what was not reused.

    Raises:
        SourceError: a source is missing, is empty or yields no document; a source or the config changed since the run that
            `scratch` belongs to; or a domain's languages differ from those that have shares. A file that is damaged or has too
            many bad lines raises no error but is set aside.
        ConfigError: a source has an unknown URI scheme.
        StoreError: an object store cannot be reached, or denies access.
    """
    index = index if config.keep_shards else None
    run = _Run(config=config, output=output, scratch=scratch, engine=engine, metrics=metrics, index=index)
    read = _read(run)
    judged = _judge(run, read)
    return _write(run, read, judged)


def _read(run: _Run) -> _Read:
    """Group the raw files into shards, write the tables that workers look up, and read and filter every document."""
    config, scratch = run.config, run.scratch / "read"
    listing = list_files(config.extraction.reading)
    shards = shards_of(listing.files, config.extraction, scratch)
    tables.write(run.output / "shards.parquet", _plan(shards, listing.skipped))

    tally = OmissionTally()
    items = write_index(config.filtering, scratch, tally) if config.filtering.benchmarks else tables.BENCHMARKS.empty_table()
    tables.write(run.output / "benchmarks.parquet", items)
    if config.filtering.flagged_words:
        write_lists(config.filtering.flagged_words, scratch)
    _require_unchanged(config, listing, run.scratch)

    extracted, documents = read_shards(shards, run.engine, run.metrics, run.index)
    figures = search_figures(items) if config.filtering.benchmarks else {}
    omitted = tally.omissions()
    return _Read(listing=listing, shards=extracted, documents=documents, benchmark_figures=figures, omitted_items=omitted)


def _judge(run: _Run, read: _Read) -> _Judged:
    """Score quality, find duplicates and repeated passages, and combine the verdicts on every document."""
    config, scratch, engine = run.config, run.scratch, run.engine

    # Score quality and refuse the lowest scores.
    extracted, quality_figures = read.shards, dict[str, JSON]()
    if config.quality.references:
        extracted, quality_figures = grade(config.quality, config.extraction, extracted, run.output, scratch / "quality", engine)

    # Find duplicates and repeated passages.
    shards = judged_shards(extracted, scratch / "texts")
    texts = [text for shard in shards for text in shard.texts]
    memory = config.shard_bytes
    duplicates = find_duplicates(texts, config.duplicates, scratch / "duplicates", engine, memory=memory, index=run.index)
    run.metrics.log(0, {"documents_read": read.documents, "documents_hashed": duplicates.hashed})
    min_characters = config.filtering.min_characters
    passages = find_passages(texts, config.passages, scratch / "passages", engine, memory=memory, min_characters=min_characters)

    # Write the ledgers and count them.
    tally = engine.reduce(added, engine.map_shards(write_ledger, shards, description="join verdicts"))
    set_aside = pa.concat_tables([pq.read_table(shard.set_aside) for shard in extracted])
    tally.add_set_aside(set_aside)
    tally.require_documents(config.sources)
    return _Judged(
        shards=shards,
        duplicates=duplicates,
        passages=passages,
        tally=tally,
        set_aside=set_aside,
        quality_figures=quality_figures,
    )


def _write(run: _Run, read: _Read, judged: _Judged) -> dict[str, JSON]:
    """Decide the split and the mixture, write the corpus with its metrics and evidence, and return the step's figures."""
    config, sizes, linked = run.config, judged.tally.sizes_by_group(), read.listing.linked
    splits = assign(sizes, linked, share=config.corpus.validation_share, seed=config.seed)
    languages = _languages(judged.shards, splits, config.corpus, run.engine)
    require_languages(config.corpus, languages)
    mixture = mixture_of(config.sources, config.corpus, languages)
    layout = Layout(splits, plan_files(sizes, splits, languages, mixture, config.shard_bytes), mixture)
    write_documents(judged.shards, layout, run.output, run.scratch, run.engine)

    _write_metrics(run, read, judged, splits)
    omissions = omissions_of(judged.tally, read.listing, read.omitted_items)
    omissions.write(run.output)
    audited = _write_evidence(run, read, judged)
    groups = run.output / GroupSplits.NAME
    write_groups(judged.shards, list(linked), splits, groups, run.scratch, run.engine, memory=config.shard_bytes)
    mixture.write(run.output)
    return {
        **judged.tally.figures(),
        "warnings": omissions.warnings,
        "files_not_read": read.listing.skipped_by_suffix(),
        **read.benchmark_figures,
        **judged.quality_figures,
        "deduplication": {**judged.duplicates.figures, "audit": audited.figures()},
        "domains": figures_of(sizes, splits),
    }


def _write_metrics(run: _Run, read: _Read, judged: _Judged, splits: Mapping[str, str]) -> None:
    """Write the tables below `metrics/` that checks and pages read, except those of the audit, which `_write_evidence` writes."""
    directory, tally = run.output / "metrics", judged.tally
    write_metrics(judged.shards, splits, directory / "documents.parquet")
    tables.write(directory / "sources.parquet", tally.table_of(run.config.sources))
    tables.write(directory / "refusals.parquet", tally.refusals())
    tables.write(directory / "set_aside.parquet", judged.set_aside)
    tables.write(directory / "personal_data.parquet", _personal_data(read.shards))
    clusters, memory = directory / "clusters.parquet", run.config.shard_bytes
    write_clusters(judged.shards, tally.documents_by_source(), clusters, run.scratch, run.engine, memory=memory)


def _write_evidence(run: _Run, read: _Read, judged: _Judged) -> Audit:
    """Write the tables that prove where each document came from and why others are missing; return the audit of the removals."""
    config, output, scratch, engine = run.config, run.output, run.scratch, run.engine
    tables.join(output / "contamination.parquet", tables.CONTAMINATION, [shard.contamination for shard in read.shards])
    tables.join(output / RAW, tables.RAW, [shard.raw for shard in read.shards])
    # Taken from the listing, because a cached shard may have been read from another location.
    write_locations([(file.source, file.path, file.uri) for file in read.listing.files], output)
    if config.samples:
        write_samples(read.shards, judged.shards, output, engine, limit=config.samples)
    write_evidence(judged.texts, output / "removed.parquet", scratch, engine, memory=config.shard_bytes)
    write_passages(judged.passages, output, scratch, engine)

    audited = audit(
        judged.texts,
        config.duplicates,
        scratch / "audit",
        engine,
        removals=config.audited_removals,
        seed=config.seed,
        memory=config.shard_bytes,
    )
    tables.write(output / "metrics" / "audit.parquet", audited.pairs)
    tables.write(output / "metrics" / "precision.parquet", audited.table())
    return audited


def _languages(
    shards: Sequence[JudgedShard], splits: Mapping[str, str], config: CorpusConfig, engine: ShardEngine
) -> dict[str, dict[str, int]]:
    """Training bytes of each language in each domain, or an empty dict if the mixture does not depend on languages."""
    if not config.language_shares and config.language_temperature is None:
        return {}
    counts = engine.map_shards(partial(training_languages, splits=splits), shards, description="count languages")
    sizes: dict[str, dict[str, int]] = {}
    for (domain, language), size in sorted(sum(counts, Counter()).items()):
        sizes.setdefault(domain, {})[language] = size
    return sizes


def _plan(shards: Sequence[ExtractionShard], skipped: Sequence[SkippedFile]) -> pa.Table:
    """Which shard reads which file, and which files are not read, as `tables.SHARDS`."""
    rows = [
        {"shard": shard.number, "source": file.source, "path": file.path, "bytes": file.size}
        for shard in shards
        for file in shard.files
    ]
    rows += [{"shard": None, "source": file.source, "path": file.path, "bytes": file.size} for file in skipped]
    return pa.Table.from_pylist(rows, tables.SHARDS)


def _require_unchanged(config: CurationConfig, listing: Listing, scratch: Path) -> None:
    """Record this run's inputs; raise `SourceError` if `scratch` holds work from a run with other inputs."""
    record = scratch / "begun.json"
    inputs = json.loads(json.dumps({"files": stamp(config.inputs, listing), **deciding(config)}))
    if not record.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        write_json(record, inputs)
        return
    before = read_json(record, dict, f"delete {scratch} to start again")
    changed = sorted(_differences(before, inputs))
    if changed:
        what = ", ".join("the sources" if name == "files" else f"CurationConfig.{name}" for name in changed)
        raise SourceError(f"{record}: {what} changed since this run started; delete {scratch} to start again")


def _differences(before: dict[str, JSON], now: dict[str, JSON]) -> Iterator[str]:
    """Dotted names of the values that differ."""
    for name in before.keys() | now.keys():
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from (f"{name}.{inner}" for inner in _differences(old, new))
        elif old != new:
            yield name


def _personal_data(shards: Sequence[ExtractedShard]) -> pa.Table:
    """Counts of replaced personal data over all shards, as `tables.PERSONAL_DATA`."""
    counts = pa.concat_tables([pq.read_table(shard.personal_data) for shard in shards])
    keys = ["source", "domain", "kind"]
    total = counts.group_by(keys, use_threads=False).aggregate([("documents", "sum"), ("found", "sum")])
    named = total.rename_columns({"documents_sum": "documents", "found_sum": "found"})
    return named.select(tables.PERSONAL_DATA.names).sort_by([(key, "ascending") for key in keys])


def read_shards(
    shards: list[ExtractionShard], engine: ShardEngine, metrics: Metrics, index: Path | None
) -> tuple[list[ExtractedShard], int]:
    """Read and filter every shard that is not in the cache `index`; return all shards, and the number of documents read now.

    Progress is reported in raw bytes.
    """
    sizes = [sum(file.size for file in shard.files) for shard in shards]
    extracted = engine.map_shards(
        partial(read_shard, index=index),
        shards,
        description="read and filter",
        finished=lambda done: metrics.progress(sum(sizes[:done]), sum(sizes), "bytes"),
    )
    documents = sum(pq.read_metadata(shard.rows).num_rows for shard, known in extracted if not known)
    return [shard for shard, _ in extracted], documents
