"""A sample of the removals measured anew: from the texts, by Python's own strings and sets, without any hash.

So the precision that a corpus reports is not what deduplication says of itself.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components import interim
from components.curation import tables
from components.curation.duplicates.config import DuplicatesConfig
from components.curation.duplicates.sketches import TextShard
from components.curation.text.draw import draw, group_of
from components.files import JSON
from components.ports import ShardEngine

CONFIDENCE = 0.95
"""Of the interval of the precision."""

COUNTED = pa.schema({"pair": pa.int64(), "kept": pa.bool_(), "text": pa.large_string()})
"""The text of either document of a sampled removal."""

LAST_HAN, LAST_CODE = 0x3FFFE, 0x3FFFF
"""Last code points of the planes of Han characters, and of those whose characters can be in words at all."""


@dataclass(frozen=True, order=True, slots=True)
class Removal:
    """A removal of the sample; the lowest are taken."""

    copy: int
    """How many other removals of the same text come first: each text is taken once before any is taken again."""
    drawn: float
    """In [0, 1), by the seed and the removed text alone."""
    text: int
    """Hash of the removed text."""
    removed_id: str
    kept_id: str
    removed: int
    """Number of the document."""
    kept: int
    similarity: float
    """As deduplication recorded it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalSample:
    """The sample of some removals, and how many there are of each reason."""

    removals: dict[str, tuple[Removal, ...]]
    count: Counter[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """How many removals of one reason have their partner."""

    reason: str
    removals: int
    sampled: int
    similar: int
    """Sampled removals whose similarity, measured anew, reaches the threshold."""
    precision: float
    low: float
    """Lower end of the `CONFIDENCE` interval of the precision over all removals."""
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """What the sample showed."""

    pairs: pa.Table
    """`tables.AUDIT`."""
    precision: tuple[Precision, ...]

    def table(self) -> pa.Table:
        """`tables.PRECISION`."""
        return pa.Table.from_pylist([asdict(row) for row in self.precision], tables.PRECISION)

    def figures(self) -> dict[str, JSON]:
        """Counts and interval by reason."""
        rows = [(row.reason, asdict(row)) for row in self.precision]
        return {reason: {name: value for name, value in row.items() if name != "reason"} for reason, row in rows}


def audit(
    shards: Sequence[TextShard],
    config: DuplicatesConfig,
    scratch: Path,
    engine: ShardEngine,
    *,
    removals: int,
    seed: int,
    memory: int,
) -> Audit:
    """Measure up to `removals` of each reason, drawn by their texts and the seed.

    A worker holds about `memory` bytes of texts.
    """
    samples = [
        RemovalSample(removals={}, count=Counter()),
        *engine.map_shards(partial(draw_removals, sample=removals, seed=seed), list(shards), description="sample removals"),
    ]
    total = engine.reduce(partial(joined, sample=removals), samples)
    chosen = [(reason, removal) for reason in sorted(total.removals) for removal in total.removals[reason]]
    counted = _counted(shards, [removal for _, removal in chosen], config, scratch, engine, memory)
    rows = [
        {
            "reason": reason,
            "removed": removal.removed_id,
            "kept": removal.kept_id,
            "recorded": removal.similarity,
            "counted": similarity,
            "similar": similarity >= config.near_duplicate_threshold,
        }
        for (reason, removal), similarity in zip(chosen, counted, strict=True)
    ]
    precision = tuple(
        _precision(reason, total.count[reason], [row for row in rows if row["reason"] == reason])
        for reason in sorted(total.count)
    )
    return Audit(pairs=pa.Table.from_pylist(rows, tables.AUDIT), precision=precision)


def draw_removals(shard: TextShard, *, sample: int, seed: int) -> RemovalSample:
    """The sample of one shard."""
    table = interim.read(shard.verdicts)
    table = table.filter(pc.greater_equal(table["kept"], 0))
    by_reason: dict[str, list[Removal]] = {}
    for row in table.to_pylist():
        drawn, fate = draw(seed, group_of(row["text"])), (row["document"], row["kept"], row["similarity"])
        by_reason.setdefault(row["reason"], []).append(Removal(0, drawn, row["text"], row["id"], row["kept_id"], *fate))
    return RemovalSample(
        removals={reason: lowest(own, sample) for reason, own in by_reason.items()},
        count=Counter({reason: len(own) for reason, own in by_reason.items()}),
    )


def joined(first: RemovalSample, second: RemovalSample, *, sample: int) -> RemovalSample:
    """The sample of both together."""
    reasons = first.removals.keys() | second.removals.keys()
    both = {reason: (*first.removals.get(reason, ()), *second.removals.get(reason, ())) for reason in reasons}
    return RemovalSample(removals={reason: lowest(own, sample) for reason, own in both.items()}, count=first.count + second.count)


def lowest(removals: Iterable[Removal], sample: int) -> tuple[Removal, ...]:
    """The lowest of some removals, with their copies counted.

    What is left out here would be left out of more removals too: among those, no copy comes earlier, and no fewer are lower.
    """
    counted: Counter[int] = Counter()
    numbered = []
    for removal in sorted(removals, key=lambda removal: (removal.text, removal.removed_id)):
        numbered.append(replace(removal, copy=counted[removal.text]))
        counted[removal.text] += 1
    return tuple(heapq.nsmallest(sample, numbered))


def _counted(
    shards: Sequence[TextShard],
    removals: Sequence[Removal],
    config: DuplicatesConfig,
    scratch: Path,
    engine: ShardEngine,
    memory: int,
) -> list[float]:
    """The Jaccard similarity of the two texts of each removal."""
    if not removals:
        return []
    wanted = [(removal.removed, pair, False) for pair, removal in enumerate(removals)]
    wanted += [(removal.kept, pair, True) for pair, removal in enumerate(removals)]
    sampled = engine.map_shards(partial(take_texts, wanted=sorted(wanted)), list(shards), description="take sampled texts")
    partitions = max(1, -(-sum(size for _, size in sampled) // memory))
    gathered = engine.exchange([path for path, _ in sampled], key="pair", partitions=partitions, output=scratch / "sampled")
    counted = engine.map_shards(partial(count_similarities, config=config), gathered, description="measure sampled removals")
    similarity = {pair: value for pairs in counted for pair, value in pairs}
    return [similarity[pair] for pair in range(len(removals))]


def take_texts(shard: TextShard, *, wanted: Sequence[tuple[int, int, bool]]) -> tuple[Path, int]:
    """Write those of the `wanted` texts (document, pair, kept) that a table has, as `COUNTED`; also how many bytes they are."""
    document, pair, kept = (np.array(column) for column in zip(*wanted, strict=True))
    table = pq.read_table(shard.texts, columns=["document", "text"], filters=pc.field("document").isin(np.unique(document)))
    order = np.argsort(table["document"].to_numpy())
    listed = table["document"].to_numpy()[order]
    hit = np.isin(document, listed)
    text = table["text"].take(pa.array(order[np.searchsorted(listed, document[hit])])).cast(pa.large_string())
    path = shard.directory / f"sampled{interim.SUFFIX}"
    return interim.write(path, pa.table([pair[hit], kept[hit], text], schema=COUNTED)), text.nbytes


def count_similarities(sampled: Path, *, config: DuplicatesConfig) -> list[tuple[int, float]]:
    """The similarity of each pair whose texts one partition of `COUNTED` holds."""
    texts: dict[int, list[str]] = {}
    for row in interim.read(sampled).to_pylist():
        texts.setdefault(row["pair"], []).append(row["text"])
    return [(pair, jaccard(first, second, config)) for pair, (first, second) in texts.items()]


def jaccard(first: str, second: str, config: DuplicatesConfig) -> float:
    """The Jaccard similarity of the sets of shingles of two texts, by the words that the config names."""
    a, b = shingle_set(first, config), shingle_set(second, config)
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def shingle_set(text: str, config: DuplicatesConfig) -> set[tuple[str, ...]]:
    """Every run of `shingle_size` words; a shorter text is one shingle."""
    words = text.translate(_ALPHANUMERIC if config.shingle_words == "alphanumeric" else _WHITESPACE).split()
    runs = zip(*(words[start:] for start in range(config.shingle_size)), strict=False)
    return set(runs) or {tuple(words)}


class _Alphanumeric(dict[int, str]):
    """Turns a character into what it counts as in words that are separated by spaces."""

    def __missing__(self, code: int) -> str:
        self[code] = self._folded(code)
        return self[code]

    @staticmethod
    def _folded(code: int) -> str:
        character = chr(code)
        han = 0x3400 <= code <= 0x4DBF or 0x4E00 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= LAST_HAN
        if han or 0x3041 <= code <= 0x30FF:
            return f" {character} "
        if code >= 0x10000 or not (character.isalpha() or character.isdigit() or character == "_"):
            return " "
        lower = character.lower()
        return lower if len(lower) == 1 else character


class _Whitespace(dict[int, str]):
    """Characters of the planes that no shingle has are spaces; all others are as they are."""

    def __missing__(self, code: int) -> str:
        self[code] = " " if code > LAST_CODE else chr(code)
        return self[code]


_ALPHANUMERIC, _WHITESPACE = _Alphanumeric(), _Whitespace()


def _precision(reason: str, removals: int, rows: Sequence[dict[str, object]]) -> Precision:
    similar = sum(bool(row["similar"]) for row in rows)
    low, high = interval(similar, len(rows), removals)
    return Precision(
        reason=reason,
        removals=removals,
        sampled=len(rows),
        similar=similar,
        precision=similar / len(rows),
        low=low,
        high=high,
    )


def interval(hits: int, sampled: int, total: int) -> tuple[float, float]:
    """The `CONFIDENCE` interval of the share of hits among `total`, of which `sampled` were drawn; a sample of all is certain.

    Clopper and Pearson: The use of confidence or fiducial limits illustrated in the case of the binomial (Biometrika 26, 1934):
    its coverage is at least what it says, also for a share of 1.
    """
    from scipy.special import betaincinv

    if sampled == total:
        return hits / sampled, hits / sampled
    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(hits, sampled - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, sampled - hits, 1 - tail)) if hits < sampled else 1.0
    return low, high
