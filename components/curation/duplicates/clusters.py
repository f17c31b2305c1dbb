"""Who is removed: in each cluster of verified pairs, in the order of ranks, what is similar to a document that stays."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components import interim
from components.curation import tables
from components.curation.duplicates.sketches import TextShard
from components.curation.tables import columns
from components.curation.tables.reasons import EXACT, NEAR
from components.curation.tables.sorting import starts
from components.machine_code import compiled


def join_components(work: tuple[Path, Path]) -> tuple[Path, int]:
    """Write edges with their component, as `tables.CONNECTED`, from edges and labels of one partition of documents.

    Also returns how many are no copies.
    """
    edges = interim.read(work[0])
    node, component = columns(interim.read(work[1]), "node", "component")
    place = np.argsort(node)
    (left,) = columns(edges, "left_document")
    at = np.minimum(np.searchsorted(node, left, sorter=place), len(node) - 1)
    label = np.where(node[place[at]] == left, component[place[at]], left) if len(node) else left
    table = pa.table([pa.array(label), *edges.columns], schema=tables.CONNECTED)
    near = edges.num_rows - pc.sum(edges["copy"], min_count=0).as_py()
    return interim.write(work[0].with_suffix(".connected"), table), near


def judge(edges: Path) -> Path:
    """Write `tables.VERDICTS` on the clusters of one partition of `tables.CONNECTED`.

    A document is removed if its similarity to one that stays reaches the threshold, in favour of the most similar such one and of
    equals the first by rank. So similarity is not passed on: what is similar only to something removed stays. A copy shares the
    fate of its original.
    """
    table = interim.read(edges)
    nodes, left, right = _nodes(table)
    place = np.lexsort((left, right))
    similarity, copy = columns(table, "similarity", "copy")
    kept, found, exact = decide(left[place], right[place], similarity[place], copy[place], nodes.num_rows)
    gone = np.flatnonzero(kept >= 0)
    removed = _verdicts(nodes, gone, kept[gone], found[gone], np.where(exact[gone], EXACT, NEAR))
    stay = np.flatnonzero(kept < 0)
    return interim.write(edges.with_suffix(".verdicts"), pa.concat_tables([removed, _grouped(nodes, stay)]))


def judge_repeats(work: tuple[TextShard, Path]) -> Path:
    """Write `tables.VERDICTS` of a part, with those on its repeats: each shares the fate of its original, or goes for it."""
    shard, verdicts = work
    found, repeats = interim.read(verdicts), interim.read(shard.repeats)
    document, kept = columns(found, "document", "kept")
    gone = np.flatnonzero(kept >= 0)
    gone = gone[np.argsort(document[gone])]
    (original,) = columns(repeats, "original")
    at = np.searchsorted(document[gone], original)
    shares = np.append(document[gone], -1)[at] == original
    alone, beside = repeats.filter(pa.array(~shares)), repeats.filter(pa.array(shares))
    fates = found.take(pa.array(gone[at[shares]]))
    exact = pa.array([EXACT] * alone.num_rows, pa.string())
    tables_of = [
        found,
        _repeated(alone, shard, [alone["original"], pa.array(np.ones(alone.num_rows)), exact, alone["original_id"]]),
        _repeated(beside, shard, [fates[name] for name in ("kept", "similarity", "reason", "kept_id")]),
    ]
    return interim.write(shard.directory / f"verdicts{interim.SUFFIX}", pa.concat_tables(tables_of))


def _repeated(repeats: pa.Table, shard: TextShard, fate: Sequence[Any]) -> pa.Table:
    kept, similarity, reason, kept_id = fate
    numbers, none = np.full(repeats.num_rows, shard.number), pa.array([""] * repeats.num_rows, pa.string())
    values = [repeats["document"], pa.array(numbers), kept, similarity, reason, none, repeats["id"], kept_id]
    return pa.table(values, schema=tables.VERDICTS)


def _nodes(table: pa.Table) -> tuple[pa.Table, Any, Any]:
    """The documents of the edges sorted by component and rank, and which of them are the ends of each edge."""
    sides = [
        table.select(["component", *(f"{side}_{name}" for name in tables.ENDS)]).rename_columns(["component", *tables.ENDS])
        for side in ("left", "right")
    ]
    ends = pa.concat_tables(sides)
    component, rank, document = columns(ends, "component", "rank", "document")
    place = np.lexsort((document, rank, component))
    first = starts(component[place], rank[place], document[place])
    number = np.empty(len(place), dtype=np.int64)
    number[place] = np.cumsum(first) - 1
    left, right = number.reshape(2, -1)
    return ends.take(pa.array(place[first])), left, right


@compiled
def _settle(left, right, similarity, copy, kept, found, exact):  # type: ignore[no-untyped-def]
    for edge in range(len(left)):
        one, two = left[edge], right[edge]
        if copy[edge]:
            gone = kept[one] >= 0
            kept[two] = kept[one] if gone else one
            found[two] = found[one] if gone else 1.0
            exact[two] = exact[one] if gone else True
        elif kept[one] < 0 and similarity[edge] > found[two]:
            kept[two], found[two] = one, similarity[edge]


def decide(left: Any, right: Any, similarity: Any, copy: Any, count: int) -> tuple[Any, Any, Any]:
    """For each of `count` documents by rank: the one it goes in favour of or -1, the similarity, whether it is a copy.

    Edges lead from an earlier to a later document and come sorted by the later, then the earlier one.
    """
    kept, found, exact = np.full(count, -1, dtype=np.int64), np.zeros(count), np.zeros(count, dtype=bool)
    _settle(left, right, similarity, copy, kept, found, exact)
    return kept, found, exact


def _verdicts(nodes: pa.Table, rows: Any, kept: Any, similarity: Any, reason: Any) -> pa.Table:
    mine, others = nodes.take(pa.array(rows)), nodes.take(pa.array(kept))
    values = [mine["document"], mine["part"], others["document"], pa.array(similarity), pa.array(reason, pa.string())]
    none = pa.array([""] * len(rows), pa.string())
    return pa.table([*values, none, mine["id"], others["id"]], schema=tables.VERDICTS)


def _grouped(nodes: pa.Table, stay: Any) -> pa.Table:
    """Documents that stay beside others of their cluster share a group, so that the split does not part them: that of the first
    of them which has one, else the first one's id."""
    component = nodes["component"].to_numpy()[stay]
    first = starts(component)
    size = np.diff(np.append(np.flatnonzero(first), len(stay)))
    stay = stay[np.repeat(size > 1, size)]
    taken = nodes.take(pa.array(stay))
    heads = np.flatnonzero(starts(taken["component"].to_numpy()))
    groups, ids = taken["group"].to_pylist(), taken["id"].to_pylist()
    named = []
    for begin, end in itertools.pairwise([*heads.tolist(), len(stay)]):
        named += [next(filter(None, groups[begin:end]), ids[begin])] * (end - begin)
    count = len(stay)
    kept = [pa.array(np.full(count, -1)), pa.nulls(count, pa.float64()), pa.array([""] * count, pa.string())]
    return pa.table(
        [taken["document"], taken["part"], *kept, pa.array(named, pa.string()), taken["id"], pa.array([""] * count, pa.string())],
        schema=tables.VERDICTS,
    )
