"""Exact and near duplicates over all sources together: candidates by LSH, verified, and one of each kept.

Four steps, each on a part of the data at a time: (1) documents that share a band key meet in one partition and become
candidate pairs; (2) connected components of the pairs, which are numbers only; (3) the shingles of the members of a
component meet in one partition; (4) in the order of ids, a member is removed if its Jaccard similarity to a document that
was already kept reaches the threshold. So every removal has its kept document and its similarity as evidence, and a
document is never removed because it is similar to something similar.
"""

import itertools
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.curation import tables
from components.curation.config import CurationConfig
from components.curation.extraction import SHARD_BITS, Extracted, order_of
from components.curation.minhash import Hashes, jaccard, shingles_of
from components.ports import ShardEngine

Numbers = npt.NDArray[np.int64]

NEIGHBOURS = 32
"""A document is compared with this many of the first documents in its bucket, so that a large bucket costs no square."""

BAND_ROW_BYTES = 32
"""Bytes of a row of `tables.BANDS` in memory."""

EXACT, NEAR = "exact-duplicate", "near-duplicate"


def find_duplicates(shards: Sequence[Extracted], config: CurationConfig, scratch: Path, engine: ShardEngine) -> pa.Table:
    """What became of every document that has a duplicate, as `tables.VERDICTS`, sorted by document.

    Text is read again only for documents that are candidates, one shard at a time.
    """
    rows = sum(pq.read_metadata(shard.bands).num_rows for shard in shards)
    partitions = -(-max(1, rows) * BAND_ROW_BYTES // config.shard_bytes)
    buckets = engine.exchange([s.bands for s in shards], key="key", partitions=partitions, output=scratch / "buckets")
    found = engine.map_shards(find_pairs, buckets, description="find candidates")
    exact, near = (_distinct([_columns(pq.read_table(pair[i]), "left", "right") for pair in found]) for i in (0, 1))
    if not len(near):
        return with_exact(tables.VERDICTS.empty_table(), exact)
    members, pairs = _components(near, shards, scratch)
    gather = partial(gather_members, size=config.shingle_size)
    gathered = engine.map_shards(gather, members, description="gather candidates")
    shingles = engine.exchange(gathered, key="component", partitions=len(members), output=scratch / "shingles")
    candidates = engine.exchange([pairs], key="component", partitions=len(members), output=scratch / "candidates")
    verify = partial(verify_pairs, threshold=config.near_duplicate_threshold)
    verdicts = engine.map_shards(verify, list(zip(shingles, candidates, strict=True)), description="verify candidates")
    return with_exact(pa.concat_tables([pq.read_table(path) for path in verdicts]), exact)


def find_pairs(bucket_file: Path) -> tuple[Path, Path]:
    """Write the exact pairs and the candidate pairs of one partition of `tables.BANDS`, as columns left and right."""
    key, text, order, document = _columns(pq.read_table(bucket_file), "key", "text", "order", "document")
    place = np.lexsort((document, order, text, key))
    key, text, order, document = key[place], text[place], order[place], document[place]
    first = _starts(key, text)
    first_of = np.maximum.accumulate(np.where(first, np.arange(len(key)), 0))
    same = ~first & (key == text)
    exact = np.stack([document[first_of[same]], document[same]], axis=1)
    # One of each text stands for its copies; the row whose key is the text itself has done its work.
    place = np.flatnonzero(first & (key != text))
    place = place[np.lexsort((document[place], order[place], key[place]))]
    return (
        _written(bucket_file.with_suffix(".exact"), exact),
        _written(bucket_file.with_suffix(".near"), _neighbours(key[place], document[place])),
    )


def _neighbours(key: Hashes, document: Numbers) -> Numbers:
    """Pairs of each document with the first `NEIGHBOURS` of its bucket; rows come sorted by key and order."""
    index = np.arange(len(key))
    start = np.maximum.accumulate(np.where(_starts(key), index, 0))
    later = [(start + step)[index - start > step] for step in range(NEIGHBOURS)]
    pairs = [np.stack([document[left], document[index - start > step]], axis=1) for step, left in enumerate(later)]
    return np.concatenate(pairs)


def _starts(*columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where a row differs from the one before it."""
    differs = np.zeros(len(columns[0]), dtype=bool)
    differs[:1] = True
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return differs


def _distinct(pairs: Sequence[Sequence[npt.NDArray[Any]]]) -> Numbers:
    """The distinct pairs of all partitions, int64 [pairs, 2], sorted."""
    left = np.concatenate([pair[0] for pair in pairs])
    right = np.concatenate([pair[1] for pair in pairs])
    place = np.lexsort((right, left))
    left, right = left[place], right[place]
    return np.stack([left, right], axis=1)[_starts(left, right)]


def _components(pairs: Numbers, shards: Sequence[Extracted], scratch: Path) -> tuple[list[tuple[Extracted, Path]], Path]:
    """Write the members of each shard with their component, and the pairs with theirs."""
    documents = np.unique(pairs)
    label = connected(np.searchsorted(documents, pairs), len(documents))
    members = []
    for number, shard in enumerate(shards):
        inside = documents >> SHARD_BITS == number
        if inside.any():
            path = Path(shard.place) / "members.parquet"
            tables.write(path, pa.table({"document": documents[inside], "component": label[inside]}))
            members.append((shard, path))
    path = scratch / "pairs.parquet"
    component = label[np.searchsorted(documents, pairs[:, 0])]
    tables.write(path, pa.table([component, pairs[:, 0], pairs[:, 1]], schema=tables.PAIRS))
    return members, path


def connected(pairs: Numbers, count: int) -> Numbers:
    """The least member of the connected component of each of `count` nodes, int64 [count]."""
    label = np.arange(count)
    while True:
        least = label[pairs].min(axis=1)
        before = label.copy()
        for side in (0, 1):
            np.minimum.at(label, label[pairs[:, side]], least)
        label = label[label]
        if np.array_equal(label, before):
            return label


def gather_members(members: tuple[Extracted, Path], *, size: int) -> Path:
    """Write the shingles of a shard's candidates, as `tables.MEMBERS`."""
    shard, listed = members
    document, component = _columns(pq.read_table(listed), "document", "component")
    component_of = dict(zip(document.tolist(), component.tolist(), strict=True))
    path = listed.with_name("shingles.parquet")
    with tables.writer(path, tables.MEMBERS) as output:
        for part in shard.texts:
            table = pq.read_table(part, columns=["document", "id", "group", "text"], filters=[("document", "in", document)])
            rows = [_member(row, component_of[row["document"]], size) for row in table.to_pylist()]
            output.write_table(pa.Table.from_pylist(rows, tables.MEMBERS))
    return path


def _member(row: dict[str, Any], component: int, size: int) -> dict[str, Any]:
    shingles = np.unique(shingles_of(row["text"], size)).tobytes()
    return {**row, "component": component, "order": order_of(row["id"]), "shingles": shingles}


def verify_pairs(files: tuple[Path, Path], *, threshold: float) -> Path:
    """Judge the components of one partition and write `tables.VERDICTS`."""
    members = pq.read_table(files[0]).to_pylist()
    component, left, right = _columns(pq.read_table(files[1]), "component", "left", "right")
    ends = np.append(np.flatnonzero(_starts(component)), len(component))
    by_component: dict[int, list[dict[str, Any]]] = {}
    for member in members:
        by_component.setdefault(member["component"], []).append(member)
    verdicts: list[dict[str, Any]] = []
    for start, end in itertools.pairwise(ends.tolist()):
        pairs = zip(left[start:end].tolist(), right[start:end].tolist(), strict=True)
        verdicts += judge(by_component[int(component[start])], pairs, threshold)
    path = files[0].with_suffix(".verdicts")
    tables.write(path, pa.Table.from_pylist(verdicts, tables.VERDICTS))
    return path


def judge(members: Sequence[dict[str, Any]], pairs: Iterable[tuple[int, int]], threshold: float) -> list[dict[str, Any]]:
    """The verdicts on one component; members come in the order in which they are kept.

    Kept members that similar ones connect, removed or not, share a group, so that the split does not part them.
    """
    candidates: dict[int, list[int]] = {}
    for left, right in pairs:
        candidates.setdefault(right, []).append(left)
    position = {member["document"]: index for index, member in enumerate(members)}
    shingles = {member["document"]: np.frombuffer(member["shingles"], dtype=np.uint64) for member in members}
    removed: dict[int, dict[str, Any]] = {}
    links: list[tuple[int, int]] = []
    for member in members:
        number = member["document"]
        near = {c: jaccard(shingles[number], shingles[c]) for c in sorted(candidates.get(number, []), key=position.__getitem__)}
        near = {candidate: similarity for candidate, similarity in near.items() if similarity >= threshold}
        links += [(position[number], position[candidate]) for candidate in near]
        if kept := {candidate: similarity for candidate, similarity in near.items() if candidate not in removed}:
            best = max(kept, key=kept.__getitem__)
            removed[number] = {"document": number, "kept": best, "similarity": kept[best], "reason": NEAR, "group": ""}
    clusters = connected(np.array(links, dtype=np.int64).reshape(-1, 2), len(members)).tolist()
    stay = [(member, root) for member, root in zip(members, clusters, strict=True) if member["document"] not in removed]
    return [*removed.values(), *_shared_groups(stay)]


def _shared_groups(stay: Sequence[tuple[dict[str, Any], int]]) -> list[dict[str, Any]]:
    """Verdicts on kept members of one cluster: their group is the first distribution among them, else the first id."""
    clusters: dict[int, list[dict[str, Any]]] = {}
    for member, root in stay:
        clusters.setdefault(root, []).append(member)
    verdicts = []
    for cluster in clusters.values():
        group = next((member["group"] for member in cluster if member["group"]), cluster[0]["id"])
        verdicts += [
            {"document": member["document"], "kept": -1, "similarity": None, "reason": "", "group": group}
            for member in cluster
            if len(cluster) > 1
        ]
    return verdicts


def with_exact(near: pa.Table, exact: Numbers) -> pa.Table:
    """The verdicts with the copies of a text added; a copy of a removed document points to what was kept for that one."""
    fate = {row["document"]: row for row in near.to_pylist() if row["kept"] >= 0}
    copies = []
    for original, copy in exact.tolist():
        removed = fate.get(original)
        verdict = removed or {"kept": original, "similarity": 1.0, "reason": EXACT, "group": ""}
        copies.append({**verdict, "document": copy})
    table = pa.concat_tables([near, pa.Table.from_pylist(copies, tables.VERDICTS)])
    return table.sort_by("document")


def _columns(table: pa.Table, *names: str) -> tuple[npt.NDArray[Any], ...]:
    return tuple(table[name].to_numpy() for name in names)


def _written(path: Path, pairs: Numbers) -> Path:
    tables.write(path, pa.table({"left": pairs[:, 0], "right": pairs[:, 1]}))
    return path
