"""Audits deduplication: measures the similarity of sampled removals again, from the texts, with Python strings and sets.

The audit uses no hashes and shares no code with deduplication, so the reported precision is an independent measurement.
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
"""Confidence level of the interval of the precision."""

COUNTED = pa.schema({"pair": pa.int64(), "kept": pa.bool_(), "text": pa.large_string()})
"""The text of one document of a sampled removal; `kept` says whether it is the kept or the removed document."""

LAST_HAN, LAST_CODE = 0x3FFFE, 0x3FFFF
"""The last code point of the planes of Han characters, and the last code point that can be part of a word."""


@dataclass(frozen=True, order=True, slots=True)
class Removal:
    """A removed document. Removals are ordered by their fields, and the lowest are sampled."""

    copy: int
    """Number of removals of the same text that come before this one, so that each text is sampled once before any is repeated."""
    drawn: float
    """Random number in [0, 1), determined by the seed and the removed text only."""
    text: int
    """Hash of the removed text."""
    removed_id: str
    kept_id: str
    removed: int
    """Number of the removed document."""
    kept: int
    """Number of the kept document."""
    similarity: float
    """Similarity that deduplication recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalSample:
    """A sample of removals for each reason, and the number of removals that it was drawn from."""

    removals: dict[str, tuple[Removal, ...]]
    """Sampled removals by reason."""
    count: Counter[str]
    """All removals by reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Precision:
    """The share of correct removals of one reason."""

    reason: str
    removals: int
    """All removals with this reason."""
    sampled: int
    """Removals that were measured again."""
    similar: int
    """Sampled removals whose similarity, measured again, reaches the threshold."""
    precision: float
    """`similar` as a share of `sampled`."""
    low: float
    """Lower end of the `CONFIDENCE` interval of the precision over all removals."""
    high: float
    """Upper end of that interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """The result of an audit."""

    pairs: pa.Table
    """`tables.AUDIT`."""
    precision: tuple[Precision, ...]

    def table(self) -> pa.Table:
        """`tables.PRECISION`."""
        return pa.Table.from_pylist([asdict(row) for row in self.precision], tables.PRECISION)

    def figures(self) -> dict[str, JSON]:
        """Counts, precision and interval by reason."""
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
    """Measure up to `removals` removals of each reason again, sampled by their texts and the seed.

    A worker holds about `memory` bytes of text.
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
    """The sample of up to `sample` removals per reason of one shard."""
    table = interim.read(shard.verdicts)
    table = table.filter(pc.greater_equal(table["kept"], 0))
    by_reason: dict[str, list[Removal]] = {}
    for row in table.to_pylist():
        drawn, outcome = draw(seed, group_of(row["text"])), (row["document"], row["kept"], row["similarity"])
        by_reason.setdefault(row["reason"], []).append(Removal(0, drawn, row["text"], row["id"], row["kept_id"], *outcome))
    return RemovalSample(
        removals={reason: lowest(own, sample) for reason, own in by_reason.items()},
        count=Counter({reason: len(own) for reason, own in by_reason.items()}),
    )


def joined(first: RemovalSample, second: RemovalSample, *, sample: int) -> RemovalSample:
    """The sample of the removals of two samples together."""
    reasons = first.removals.keys() | second.removals.keys()
    both = {reason: (*first.removals.get(reason, ()), *second.removals.get(reason, ())) for reason in reasons}
    return RemovalSample(removals={reason: lowest(own, sample) for reason, own in both.items()}, count=first.count + second.count)


def lowest(removals: Iterable[Removal], sample: int) -> tuple[Removal, ...]:
    """The `sample` lowest removals, with `copy` counted among `removals`.

    A removal that is dropped here would also be dropped from any larger set, where its `copy` and the number of lower removals
    can only be higher. So samples of shards can be merged.
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
    """The Jaccard similarity of the two texts of each removal, in the order of `removals`."""
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
    """Write the wanted texts of a text shard as `COUNTED`; return the path and the size of the texts in bytes.

    `wanted` lists (document, pair, kept), sorted, over all shards.
    """
    document, pair, kept = (np.array(column) for column in zip(*wanted, strict=True))
    table = pq.read_table(shard.texts, columns=["document", "text"], filters=pc.field("document").isin(np.unique(document)))
    order = np.argsort(table["document"].to_numpy())
    listed = table["document"].to_numpy()[order]
    hit = np.isin(document, listed)
    text = table["text"].take(pa.array(order[np.searchsorted(listed, document[hit])])).cast(pa.large_string())
    path = shard.directory / f"sampled{interim.SUFFIX}"
    return interim.write(path, pa.table([pair[hit], kept[hit], text], schema=COUNTED)), text.nbytes


def count_similarities(sampled: Path, *, config: DuplicatesConfig) -> list[tuple[int, float]]:
    """(pair, similarity) of each pair in one partition of `COUNTED`."""
    texts: dict[int, list[str]] = {}
    for row in interim.read(sampled).to_pylist():
        texts.setdefault(row["pair"], []).append(row["text"])
    return [(pair, jaccard(first, second, config)) for pair, (first, second) in texts.items()]


def jaccard(first: str, second: str, config: DuplicatesConfig) -> float:
    """The Jaccard similarity of the shingle sets of two texts."""
    a, b = shingle_set(first, config), shingle_set(second, config)
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def shingle_set(text: str, config: DuplicatesConfig) -> set[tuple[str, ...]]:
    """The set of runs of `shingle_size` words; a text with fewer words is one shingle."""
    words = text.translate(_ALPHANUMERIC if config.shingle_words == "alphanumeric" else _WHITESPACE).split()
    runs = zip(*(words[start:] for start in range(config.shingle_size)), strict=False)
    return set(runs) or {tuple(words)}


class _Alphanumeric(dict[int, str]):
    """Table for `str.translate`, filled on demand: after it, `str.split` returns the `alphanumeric` words."""

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
    """Table for `str.translate`, filled on demand: code points above `LAST_CODE` become spaces, others stay the same."""

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
    """The `CONFIDENCE` interval of the share of hits among `total`, given `hits` among `sampled` of them.

    If everything was sampled, both ends are the observed share. Otherwise this is the exact interval of Clopper and Pearson (The
    use of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26, 1934), whose coverage is at least
    the nominal level even for a share of 1.
    """
    from scipy.special import betaincinv

    if sampled == total:
        return hits / sampled, hits / sampled
    tail = (1 - CONFIDENCE) / 2
    low = float(betaincinv(hits, sampled - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, sampled - hits, 1 - tail)) if hits < sampled else 1.0
    return low, high
