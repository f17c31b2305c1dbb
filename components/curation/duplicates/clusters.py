"""Decides which documents are removed: in each cluster, in the order of ranks, those that are similar to a kept document."""

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
from components.curation.text.draw import group_of
from components.machine_code import compiled


def join_components(work: tuple[Path, Path]) -> tuple[Path, int]:
    """Write edges with their component, as `tables.CONNECTED`; return the path, and how many edges are not between copies.

    `work` is the edges and the labels of one partition of documents.
    """
    edges = interim.read(work[0])
    node, component = columns(interim.read(work[1]), "node", "component")
    order = np.argsort(node)
    (first,) = columns(edges, "left_document")
    index = np.minimum(np.searchsorted(node, first, sorter=order), len(node) - 1)
    label = np.where(node[order[index]] == first, component[order[index]], first) if len(node) else first
    table = pa.table([pa.array(label), *edges.columns], schema=tables.CONNECTED)
    near = edges.num_rows - pc.sum(edges["copy"], min_count=0).as_py()
    return interim.write(work[0].with_suffix(".connected"), table), near


def judge(edges: Path) -> Path:
    """Write `tables.VERDICTS` on the clusters in one partition of `tables.CONNECTED`.

    A document is removed if its similarity to a kept document reaches the threshold. It is removed in favour of the most similar
    kept document, or the first of these by rank. Similarity is not transitive: a document that is similar only to removed
    documents is kept. A copy gets the verdict of its original.
    """
    table = interim.read(edges)
    nodes, first, second = _nodes(table)
    order = np.lexsort((first, second))
    similarity, copy = columns(table, "similarity", "copy")
    survivor, similarity, exact = decide(first[order], second[order], similarity[order], copy[order], nodes.num_rows)
    removed = np.flatnonzero(survivor >= 0)
    reasons = np.where(exact[removed], EXACT, NEAR)
    verdicts = _verdicts(nodes, removed, survivor[removed], similarity[removed], reasons)
    kept = np.flatnonzero(survivor < 0)
    return interim.write(edges.with_suffix(".verdicts"), pa.concat_tables([verdicts, _grouped(nodes, kept)]))


def judge_repeats(work: tuple[TextShard, Path]) -> None:
    """Write the verdicts on a shard, including those on its repeats.

    A repeat is removed in favour of its original or, if the original is removed too, in favour of the document that replaces it.
    `work` is the shard and the path of the verdicts on its other documents.
    """
    shard, path = work
    verdicts, repeats = interim.read(path), interim.read(shard.repeats)
    document, kept = columns(verdicts, "document", "kept")
    removed = np.flatnonzero(kept >= 0)
    removed = removed[np.argsort(document[removed])]
    (original,) = columns(repeats, "original")
    index = np.searchsorted(document[removed], original)
    original_removed = np.append(document[removed], -1)[index] == original
    of_kept, of_removed = repeats.filter(pa.array(~original_removed)), repeats.filter(pa.array(original_removed))
    outcomes = verdicts.take(pa.array(removed[index[original_removed]]))
    exact = pa.array([EXACT] * of_kept.num_rows, pa.string())
    copied = [of_kept["original"], of_kept["text"], pa.array(np.ones(of_kept.num_rows)), exact, of_kept["original_id"]]
    joined = [
        verdicts,
        _repeated(of_kept, shard, copied),
        _repeated(of_removed, shard, [outcomes[name] for name in ("kept", "kept_text", "similarity", "reason", "kept_id")]),
    ]
    interim.write(shard.verdicts, pa.concat_tables(joined))


def _repeated(repeats: pa.Table, shard: TextShard, outcome: Sequence[Any]) -> pa.Table:
    shards, group = np.full(repeats.num_rows, shard.number), pa.array([""] * repeats.num_rows, pa.string())
    *outcome, kept_id = outcome
    values = [repeats["document"], pa.array(shards), repeats["text"], *outcome, group, repeats["id"], kept_id]
    return pa.table(values, schema=tables.VERDICTS)


def _nodes(table: pa.Table) -> tuple[pa.Table, Any, Any]:
    """The distinct documents of the edges, sorted by component, rank and tie; and the rows of each edge's two documents."""
    ends = pa.concat_tables(
        table.select(["component", *(f"{end}_{name}" for name in tables.ENDS)]).rename_columns(["component", *tables.ENDS])
        for end in ("left", "right")
    )
    component, rank, tie, document = columns(ends, "component", "rank", "tie", "document")
    order = np.lexsort((document, tie, rank, component))
    distinct = starts(component[order], rank[order], tie[order], document[order])
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.cumsum(distinct) - 1
    first, second = number.reshape(2, -1)
    return ends.take(pa.array(order[distinct])), first, second


@compiled
def _decide(first, second, similarity, copy, survivor, highest, exact):  # type: ignore[no-untyped-def]
    for edge in range(len(first)):
        earlier, later = first[edge], second[edge]
        if copy[edge]:
            removed = survivor[earlier] >= 0
            survivor[later] = survivor[earlier] if removed else earlier
            highest[later] = highest[earlier] if removed else 1.0
            exact[later] = exact[earlier] if removed else True
        elif survivor[earlier] < 0 and similarity[edge] > highest[later]:
            survivor[later], highest[later] = earlier, similarity[edge]


def decide(first: Any, second: Any, similarity: Any, copy: Any, count: int) -> tuple[Any, Any, Any]:
    """For each of `count` documents by rank: the document kept in its favour or -1, their similarity, and whether it is a copy.

    Edges lead from an earlier document (`first`) to a later one (`second`), and are sorted by `second`, then `first`.
    """
    survivor, highest, exact = np.full(count, -1, dtype=np.int64), np.zeros(count), np.zeros(count, dtype=bool)
    _decide(first, second, similarity, copy, survivor, highest, exact)
    return survivor, highest, exact


def _verdicts(nodes: pa.Table, rows: Any, survivor: Any, similarity: Any, reason: Any) -> pa.Table:
    removed, kept = nodes.take(pa.array(rows)), nodes.take(pa.array(survivor))
    own = [removed[name] for name in ("document", "part", "text")]
    outcome = [kept["document"], kept["text"], pa.array(similarity), pa.array(reason, pa.string())]
    group = pa.array([""] * len(rows), pa.string())
    return pa.table([*own, *outcome, group, removed["id"], kept["id"]], schema=tables.VERDICTS)


def _grouped(nodes: pa.Table, kept: Any) -> pa.Table:
    """Verdicts on the kept documents of clusters with several of them: they share a group, so that all are in the same split.

    The group is that of the first document that has one; if none has, it is the group of the first document's text.
    """
    component = nodes["component"].to_numpy()[kept]
    size = np.diff(np.append(np.flatnonzero(starts(component)), len(kept)))
    kept = kept[np.repeat(size > 1, size)]
    members = nodes.take(pa.array(kept))
    heads = np.flatnonzero(starts(members["component"].to_numpy()))
    groups, texts = members["group"].to_pylist(), members["text"].to_pylist()
    shared = []
    for start, end in itertools.pairwise([*heads.tolist(), len(kept)]):
        shared += [next(filter(None, groups[start:end]), group_of(texts[start]))] * (end - start)
    count = len(kept)
    none = pa.array([""] * count, pa.string())
    outcome = [pa.array(np.full(count, -1)), pa.array(np.zeros(count, np.uint64)), pa.nulls(count, pa.float64()), none]
    values = [
        *(members[name] for name in ("document", "part", "text")),
        *outcome,
        pa.array(shared, pa.string()),
        members["id"],
        none,
    ]
    return pa.table(values, schema=tables.VERDICTS)
