"""Removes exact and near-duplicates across all sources: LSH finds candidate pairs, which are then verified.

No process holds the whole corpus, or a table with a row for each document: shards and partitions are processed one at a time, and
their number grows with the corpus. The steps:

1. Every shard is hashed.
2. Documents with the same text are brought together, one per shard; all but the first are copies.
3. Documents that share a band key are brought together; each such pair becomes a candidate once.
4. The shingles of candidates are gathered in blocks, where the similarity of each pair is counted.
5. Verified pairs are connected into clusters, and each cluster is judged.
6. Verdicts are returned to their shards, where documents that repeat a text of the same shard get the verdict of that text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from components import interim
from components.curation.duplicates.candidate_pairs import assign_blocks, find_copies, find_pairs, find_repeats, spread_bands
from components.curation.duplicates.clusters import join_components, judge, judge_repeats
from components.curation.duplicates.config import DuplicatesConfig
from components.curation.duplicates.connected_components import label_components
from components.curation.duplicates.shard_cache import sketch_shard
from components.curation.duplicates.sketches import Sketch, TextShard, sketching_of
from components.curation.duplicates.verification import gather_members, verify_pairs
from components.files import JSON
from components.ports import ShardEngine

ROW_BYTES = {"heads": 512, "bands": 72, "candidates": 96, "edges": 1024}
"""Bytes of memory per row while its partition is processed, including sorting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicates:
    """Figures of a search for duplicates; the verdicts are in `TextShard.verdicts`."""

    figures: dict[str, JSON]
    """Figures for the manifest: the bands, the number of candidates, and how many of them were similar."""
    hashed: int
    """Documents hashed in this run, without those whose hashes were in the cache `index`."""


def find_duplicates(
    shards: Sequence[TextShard],
    config: DuplicatesConfig,
    scratch: Path,
    engine: ShardEngine,
    *,
    memory: int,
    index: Path | None = None,
) -> Duplicates:
    """Write the verdicts on all shards; hashes of shards that an earlier run hashed are taken from the cache `index`.

    A worker holds about `memory` bytes. The verdicts depend only on texts, ids and quality, not on the order of the shards, the
    engine or its workers.
    """
    if not shards:
        return Duplicates(figures={}, hashed=0)
    hashed = engine.map_shards(partial(sketch_shard, config=config, index=index), shards, description="hash documents")
    sketches = [own for own, _ in hashed]
    search = _Search(shards=shards, sketches=sketches, config=config, memory=memory, scratch=scratch, engine=engine)
    exact_edges, copies = search.copies()
    near_edges, measured = search.near_duplicates(copies)
    similar = search.judge([*exact_edges, *near_edges])
    shape = sketching_of(config).shape
    figures: dict[str, JSON] = {
        "bands": shape.bands,
        "rows": shape.rows,
        "recall_by_similarity": shape.curve(),
        "candidates": measured,
        "similar": similar,
        "precision_before_verification": similar / measured if measured else None,
    }
    new = sum(own.documents for own, known in hashed if not known)
    return Duplicates(figures=figures, hashed=new)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Search:
    shards: Sequence[TextShard]
    sketches: Sequence[Sketch]
    config: DuplicatesConfig
    memory: int
    """Bytes that a worker holds at a time."""
    scratch: Path
    engine: ShardEngine

    def copies(self) -> tuple[list[Path], list[Path]]:
        """Edges between documents with the same text, and the copies in each shard."""
        heads = self.engine.map_shards(find_repeats, self.shards, description="find repeats")
        rows = sum(map(interim.rows, heads))
        gathered = self._exchanged(heads, "text", self._partitions(rows * ROW_BYTES["heads"]), "heads")
        copies = self.engine.map_shards(find_copies, gathered, description="find copies")
        return [edges for edges, _ in copies], self._by_shard([own for _, own in copies], "copies")

    def near_duplicates(self, copies: Sequence[Path]) -> tuple[list[Path], int]:
        """Verified edges between documents with different texts, and how many candidates were measured."""
        # Bring documents that share a band key together in buckets.
        spread = self.engine.map_shards(spread_bands, self._with_shards(copies), description="list bands")
        rows = sum(map(interim.rows, spread))
        buckets = self._exchanged(spread, "key", self._partitions(rows * ROW_BYTES["bands"]), "buckets")
        firsts = np.array([sketch.first for sketch in self.sketches], dtype=np.int64)
        candidates = self.engine.map_shards(partial(find_pairs, firsts=firsts), buckets, description="find candidates")

        # Assign each pair to one block, and gather the shingles of its documents there.
        rows = sum(map(interim.rows, candidates))
        gathered = self._exchanged(candidates, "left", self._partitions(rows * ROW_BYTES["candidates"]), "candidates")
        blocks = self._partitions(sum(sketch.bytes for sketch in self.sketches))
        assign = partial(assign_blocks, firsts=firsts, blocks=blocks)
        placed = self.engine.map_shards(assign, gathered, description="assign candidates")
        needs = self._by_shard([needs for _, needs in placed], "needs")
        members = self.scratch / "members"
        gather = partial(gather_members, config=self.config, blocks=blocks, output=members)
        self.engine.map_shards(gather, self._with_shards(needs), description="gather candidates")

        # Count the similarity of each pair.
        pairs = self._exchanged([pairs for pairs, _ in placed], "block", blocks, "pairs")
        verify = partial(verify_pairs, members=members, threshold=self.config.near_duplicate_threshold)
        verified = self.engine.map_shards(verify, list(enumerate(pairs)), description="verify candidates")
        return [edges for edges, _ in verified], sum(measured for _, measured in verified)

    def judge(self, edges: Sequence[Path]) -> int:
        """Write the verdicts on each shard; return how many pairs of different texts are similar."""
        # Join the edges of each cluster.
        labels = label_components(edges, self.scratch / "labels", self.engine, memory=self.memory)
        partitions = self._partitions(sum(map(interim.rows, edges)) * ROW_BYTES["edges"])
        by_document = self._exchanged(edges, "left_document", partitions, "edges")
        labelled = self._exchanged(labels, "node", partitions, "nodes")
        joined = self.engine.map_shards(
            join_components, list(zip(by_document, labelled, strict=True)), description="join clusters"
        )

        # Judge the clusters, and return the verdicts to their shards.
        clusters = self._exchanged([edges for edges, _ in joined], "component", partitions, "clusters")
        judged = self.engine.map_shards(judge, clusters, description="judge clusters")
        verdicts = self._with_shards(self._by_shard(judged, "verdicts"))
        self.engine.map_shards(judge_repeats, verdicts, description="judge repeats")
        return sum(near for _, near in joined)

    def _with_shards(self, files: Sequence[Path]) -> list[tuple[TextShard, Path]]:
        return list(zip(self.shards, files, strict=True))

    def _partitions(self, size: int) -> int:
        return max(1, -(-size // self.memory))

    def _by_shard(self, files: Sequence[Path], name: str) -> list[Path]:
        return self._exchanged(files, "part", len(self.shards), name)

    def _exchanged(self, files: Sequence[Path], key: str, partitions: int, name: str) -> list[Path]:
        return self.engine.exchange(files, key=key, partitions=partitions, output=self.scratch / name)
