"""Writes a corpus's tables about documents: metrics, groups, clusters, and the evidence of each removal."""

import itertools
import operator
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components import interim
from components.curation import tables
from components.curation.corpus.ledger import JudgedShard, kept_in, split_groups
from components.curation.duplicates.sketches import TextShard
from components.curation.reading.config import PYTHON_ENVIRONMENT
from components.curation.tables.sorting import partitions_of, slots_of, slotted, starts, write_sorted
from components.ports import ShardEngine

Splits = Mapping[str, str]
"""The split of each group; keys are the groups that `ledger.split_groups` returns."""

OWNED = pa.schema({"group": pa.string(), "empty": pa.int64(), "source": pa.string()})
"""A group and one of its sources; `empty` is 1 if the group is listed even though none of its documents may be kept."""

SourceCluster = tuple[str, str, int, str, int]
"""Source, domain, text hash and id of a kept document, and how many of the source's documents were removed in its favour."""

LARGEST = 10
"""Number of clusters listed for each source."""


def splits_of(groups: pa.ChunkedArray, splits: Splits) -> pa.Array:
    """The split of each group."""
    encoded = split_groups(groups).combine_chunks().dictionary_encode()
    names = [splits[group] for group in encoded.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(encoded.indices)


def write_metrics(shards: Sequence[JudgedShard], splits: Splits, path: Path) -> None:
    """Write `tables.METRICS`: one row per document read, in the order of reading."""
    with tables.writer(path, tables.METRICS) as output:
        for shard in shards:
            table = pq.read_table(shard.ledger)
            kept = kept_in(table)
            known = pc.if_else(kept, table["group"], pa.scalar(None, pa.string()))
            values = [splits_of(pc.drop_null(known), splits), pa.array([None], pa.string())]
            row = np.where(kept.to_numpy(), np.cumsum(kept.to_numpy()) - 1, len(values[0]))
            split = pa.concat_arrays(values).take(pa.array(row))
            output.write_table(table.append_column("split", split).append_column("kept", kept).select(tables.METRICS.names))


def write_groups(
    shards: Sequence[JudgedShard],
    linked: Sequence[str],
    splits: Splits,
    path: Path,
    scratch: Path,
    engine: ShardEngine,
    *,
    memory: int,
) -> None:
    """Write `tables.GROUPS`: split and first source by name of each group with kept documents, and of every distribution."""
    owned = engine.map_shards(find_groups, list(shards), description="list groups")
    known = pa.table([list(linked), np.ones(len(linked), np.int64), [PYTHON_ENVIRONMENT] * len(linked)], schema=OWNED)
    owned.append(interim.write(scratch / f"linked{interim.SUFFIX}", known))
    partitions = partitions_of(owned, memory)
    with tables.writer(path, tables.GROUPS) as output:
        for gathered in engine.exchange(owned, key="group", partitions=partitions, output=scratch / "groups"):
            table = interim.read(gathered)
            table = table.filter(pa.array(starts(table["group"].to_numpy())))
            output.write_table(
                pa.table([table["group"], splits_of(table["group"], splits), table["source"]], schema=tables.GROUPS)
            )


def find_groups(shard: JudgedShard) -> Path:
    """Write the groups of a shard's kept documents, each with its first source by name, as `OWNED`."""
    table = pq.read_table(shard.ledger)
    kept = table.filter(kept_in(table)).sort_by([("group", "ascending"), ("source", "ascending")])
    first = kept.filter(pa.array(starts(kept["group"].to_numpy())))
    values = [first["group"], pa.array(np.zeros(first.num_rows, np.int64)), first["source"]]
    return interim.write(Path(shard.extracted.directory) / f"groups{interim.SUFFIX}", pa.table(values, schema=OWNED))


def write_evidence(shards: Sequence[TextShard], path: Path, scratch: Path, engine: ShardEngine, *, memory: int) -> None:
    """Write `tables.REMOVED`: every removal with the kept document and their similarity, sorted by the removed id."""
    partitions = partitions_of([shard.verdicts for shard in shards], memory)
    removals = engine.map_shards(partial(find_evidence, partitions=partitions), list(shards), description="list removals")
    write_sorted(removals, tables.REMOVED, path, scratch / "evidence", engine, partitions=partitions)


def find_evidence(shard: TextShard, *, partitions: int) -> Path:
    """Write the removals of a text shard, with their slots for sorting."""
    table = interim.read(shard.verdicts)
    table = table.filter(pc.greater_equal(table["kept"], 0))
    values = [slots_of(table["id"], partitions), table["id"], table["kept_id"], table["similarity"]]
    return interim.write(shard.verdicts.with_suffix(".evidence"), pa.table(values, schema=slotted(tables.REMOVED)))


def write_clusters(
    shards: Sequence[JudgedShard],
    documents: Mapping[tuple[str, str], int],
    path: Path,
    scratch: Path,
    engine: ShardEngine,
    *,
    memory: int,
) -> None:
    """Write `tables.CLUSTERS`: the `LARGEST` clusters of each source, the largest first.

    `documents` is the number of documents of each (source, domain).
    """
    losses = [shard.losses for shard in shards]
    gathered = engine.exchange(losses, key="kept", partitions=partitions_of(losses, memory), output=scratch / "losses")
    largest = engine.map_shards(find_largest, gathered, description="find large clusters")
    clusters = [cluster for own in largest for cluster in own]
    rows = [
        {
            "source": source,
            "domain": domain,
            "kept": kept,
            "kept_text": kept_text,
            "documents": count,
            "share": count / documents[source, domain],
        }
        for source, domain, kept_text, kept, count in _largest(clusters)
    ]
    tables.write(path, pa.Table.from_pylist(rows, tables.CLUSTERS))


def find_largest(losses: Path) -> list[SourceCluster]:
    """The largest clusters of each source in one partition of `tables.LOSSES`."""
    keys = ["source", "domain", "kept_text", "kept"]
    counted = interim.read(losses).group_by(keys).aggregate([("documents", "sum")])
    return _largest(zip(*(counted[name].to_pylist() for name in (*keys, "documents_sum")), strict=True))


def _largest(clusters: Iterable[SourceCluster]) -> list[SourceCluster]:
    ordered = sorted(clusters, key=lambda cluster: (*cluster[:2], -cluster[4], *cluster[2:4]))
    by_source = itertools.groupby(ordered, key=operator.itemgetter(0, 1))
    return [cluster for _, own in by_source for cluster in itertools.islice(own, LARGEST)]
