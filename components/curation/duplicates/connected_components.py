"""Finds the connected components of a graph that need not fit into one process, by alternating large-star and small-star.

Kiveris, Lattanzi, Mirrokni, Rastogi, Vassilvitskii: Connected Components in MapReduce and Beyond (SoCC 2014). Both operations
preserve the components. When neither changes anything, every node is linked to the lowest node of its component.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from components import interim
from components.curation import tables
from components.curation.tables import columns
from components.curation.tables.sorting import distinct, starts
from components.hashing import mixed
from components.machine_code import Numbers
from components.ports import ShardEngine

LINKS = pa.schema({"node": pa.int64(), "other": pa.int64()})

LINK_BYTES = 64
"""Memory per link while a partition is processed: both directions, and sorting them."""


def label_components(edges: Sequence[Path], scratch: Path, engine: ShardEngine, *, memory: int) -> list[Path]:
    """Write the `tables.LABELS` of every document in `edges`, except the lowest of each component; return their paths.

    A worker holds about `memory` bytes of links.
    """
    # Label a small graph in one worker.
    count = sum(map(interim.rows, edges))
    if count * LINK_BYTES <= memory:
        return engine.map_shards(
            label_all, [(list(edges), scratch / f"labels{interim.SUFFIX}")], description="connect duplicates"
        )

    # Alternate large-star and small-star until neither changes the links.
    partitions = -(-count * LINK_BYTES // memory)
    links = engine.map_shards(read_links, list(edges), description="read links")
    state, turn = "", 0
    while True:
        for large in (True, False):
            both = engine.map_shards(partial(directed, both=large), links, description="direct links")
            output = scratch / f"turn-{turn}-{'large' if large else 'small'}"
            gathered = engine.exchange(both, key="node", partitions=partitions, output=output)
            stars = engine.map_shards(partial(star, large=large), gathered, description="connect duplicates")
            links = [path for path, _ in stars]
        turn += 1
        # The links are distinct, so the sum of their checksums identifies the set.
        before, state = state, str(engine.reduce(_added, [checksum for _, checksum in stars]))
        if state == before:
            return engine.map_shards(as_labels, links, description="label duplicates")


def _added(first: int, second: int) -> int:
    return (first + second) % (1 << 64)


def label_all(work: tuple[list[Path], Path]) -> Path:
    """Label a graph that fits into one worker; `work` is the edges and the path to write to."""
    edges, path = work
    ends = zip(*(columns(interim.read(file, _ENDS), *_ENDS) for file in edges), strict=True)
    first, second = (np.concatenate(end) for end in ends)
    documents, nodes = np.unique(np.concatenate([first, second]), return_inverse=True)
    label = connected(nodes.reshape(2, -1).T, len(documents))
    labelled = label != np.arange(len(documents))
    return interim.write(path, pa.table([documents[labelled], documents[label[labelled]]], schema=tables.LABELS))


_ENDS = ("left_document", "right_document")


def connected(pairs: Numbers, count: int) -> Numbers:
    """The lowest member of the connected component of each of `count` nodes, int64 [count]."""
    label = np.arange(count)
    while True:
        lowest = label[pairs].min(axis=1)
        before = label.copy()
        for end in pairs.T:
            np.minimum.at(label, label[end], lowest)
        label = label[label]
        if np.array_equal(label, before):
            return label


def read_links(edges: Path) -> Path:
    """Write only the ends of the edges, as `LINKS`."""
    first, second = columns(interim.read(edges, _ENDS), *_ENDS)
    return interim.write(edges.with_suffix(".links"), pa.table([first, second], schema=LINKS))


def directed(links: Path, *, both: bool) -> Path:
    """Write the links in both directions, or only from the higher to the lower node."""
    node, other = columns(interim.read(links), "node", "other")
    source, target = np.maximum(node, other), np.minimum(node, other)
    if both:
        source, target = np.concatenate([source, target]), np.concatenate([target, source])
    return interim.write(links.with_suffix(".directed"), pa.table(list(distinct(source, target)), schema=LINKS))


def star(links: Path, *, large: bool) -> tuple[Path, int]:
    """Link a node's neighbours to the lowest among them and the node itself.

    The large star links the neighbours that are higher than the node; the small star links the lower neighbours and the node.
    Returns the path of the new links and their checksum.
    """
    node, other = distinct(*columns(interim.read(links), "node", "other"))
    first = np.flatnonzero(starts(node))
    lowest = np.minimum(np.minimum.reduceat(other, first), node[first]) if len(first) else node[:0]
    root = np.repeat(lowest, np.diff(np.append(first, len(node))))
    if large:
        above = other > node
        source, target = distinct(other[above], root[above])
    else:
        source, target = distinct(np.concatenate([other, node[first]]), np.concatenate([root, lowest]))
    link = source != target
    source, target = source[link], target[link]
    checksum = mixed(mixed(source.astype(np.uint64)) + target.astype(np.uint64)).sum(dtype=np.uint64)
    return interim.write(links.with_suffix(".star"), pa.table([source, target], schema=LINKS)), int(checksum)


def as_labels(links: Path) -> Path:
    """Write the final links as `tables.LABELS`."""
    node, other = columns(interim.read(links), "node", "other")
    return interim.write(links.with_suffix(".labels"), pa.table([node, other], schema=tables.LABELS))
