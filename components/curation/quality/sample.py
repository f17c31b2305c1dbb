"""Draws the training sample of each language's classifier: bounded in size, and independent of how documents are sharded.

Each text has an order: a hash of the text and the seed. The texts with the lowest orders are sampled, each once. First each text
shard reports its lowest orders. From these follows the limit up to which orders are sampled. Then each text shard writes its
documents up to the limit. Every domain of a language contributes about the same number.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import interim
from components.curation.duplicates.sketches import bytes_of
from components.curation.quality.calibration import Group
from components.curation.quality.classifier import features_of
from components.curation.quality.config import QualityConfig
from components.errors import SourceError
from components.hashing import mixed
from components.machine_code import Hashes
from components.ports import ShardEngine

BATCH = 4096
"""Documents read from a text shard at a time."""

SAMPLE = pa.schema({"order": pa.uint64(), "language": pa.string(), "reference": pa.bool_(), "features": pa.large_binary()})
"""A sampled document; `features` are the buckets of its words."""

GroupOrders = dict[Group, tuple[int, Hashes]]
"""For each group, its number of documents, and their lowest distinct orders."""


def draw(
    quality: QualityConfig, references: Sequence[Path], texts: Sequence[Path], scratch: Path, engine: ShardEngine, *, seed: int
) -> tuple[list[Path], dict[str, int]]:
    """`SAMPLE` partitioned by language, and the number of references of each language that gets a classifier.

    Raises:
        SourceError: no language has enough documents both in the references and in the sources.
    """
    lowest = partial(lowest_orders, max_orders=quality.sample_documents, seed=seed)
    merge = partial(_merge, max_orders=quality.sample_documents)

    # Find the languages that have enough documents both in the references and in the sources.
    drawn = engine.map_shards(partial(lowest, by_domain=False), references, description="draw references")
    reference_orders = engine.reduce(merge, drawn)
    counts = {language: count for (language, _), (count, _) in reference_orders.items()}
    distinct = {language: len(orders) for (language, _), (_, orders) in reference_orders.items()}
    candidates = frozenset(language for language, count in distinct.items() if count >= quality.min_documents)
    drawn = engine.map_shards(partial(lowest, languages=candidates), texts, description="draw documents")
    document_orders = engine.reduce(merge, drawn)
    languages = sorted(name for name in candidates if _distinct(document_orders, name) >= quality.min_documents)
    if not languages:
        available = ", ".join(f"{count} {language}" for language, count in sorted(counts.items()))
        raise SourceError(
            f"curation.quality.references: no language has {quality.min_documents} documents both in the references and in the "
            f"sources (references: {available}); add references, or lower curation.quality.min_documents"
        )

    # Draw their samples from the text shards, and partition them by language.
    limits = tuple(_limits(orders, languages, quality.sample_documents) for orders in (reference_orders, document_orders))
    work = [(path, True, scratch / f"reference-{number:05d}{interim.SUFFIX}") for number, path in enumerate(references)]
    work += [(path, False, scratch / f"document-{number:05d}{interim.SUFFIX}") for number, path in enumerate(texts)]
    taken = engine.map_shards(partial(take, limits=limits, seed=seed), work, description="take the sample")
    partitions = engine.exchange(taken, key="language", partitions=len(languages), output=scratch / "sample")
    return partitions, {language: counts[language] for language in languages}


def lowest_orders(
    texts: Path, *, max_orders: int, seed: int, by_domain: bool = True, languages: frozenset[str] | None = None
) -> GroupOrders:
    """The `GroupOrders` of a text shard, with up to `max_orders` orders for each group.

    A group is a language and domain, or with `by_domain=False` a language alone; `languages` restricts the groups.
    """
    table = pq.read_table(texts, columns=["text_hash", "language", "domain"])
    groups, orders = groups_of(table, by_domain=by_domain), _orders(table, seed)
    lowest = {}
    for group in sorted(set(groups)):
        if languages is None or group[0] in languages:
            own = orders[[other == group for other in groups]]
            lowest[group] = (len(own), np.unique(own)[:max_orders])
    return lowest


def _merge(first: GroupOrders, second: GroupOrders, *, max_orders: int) -> GroupOrders:
    merged = {}
    for group in {**first, **second}:
        entries = [orders[group] for orders in (first, second) if group in orders]
        orders = np.unique(np.concatenate([orders for _, orders in entries]))[:max_orders]
        merged[group] = (sum(count for count, _ in entries), orders)
    return merged


def _distinct(orders: GroupOrders, language: str) -> int:
    return sum(len(lowest) for (own, _), (_, lowest) in orders.items() if own == language)


def _limits(orders: GroupOrders, languages: Sequence[str], documents: int) -> dict[Group, np.uint64]:
    """The highest order that is sampled of each group, such that every domain of a language contributes the same number."""
    domains = {language: sum(own == language for own, _ in orders) for language in languages}
    return {
        (language, domain): lowest[: max(1, documents // domains[language])][-1]
        for (language, domain), (_, lowest) in orders.items()
        if language in domains
    }


def groups_of(table: pa.Table | pa.RecordBatch, *, by_domain: bool = True) -> list[Group]:
    """Language and domain of each document; the domain is empty with `by_domain=False`."""
    languages, domains = table["language"].to_pylist(), table["domain"].to_pylist()
    return list(zip(languages, domains if by_domain else [""] * len(languages), strict=True))


def _orders(table: pa.Table | pa.RecordBatch, seed: int) -> Hashes:
    return mixed(table["text_hash"].to_numpy() + np.uint64(seed))


def take(work: tuple[Path, bool, Path], *, limits: Sequence[Mapping[Group, np.uint64]], seed: int) -> Path:
    """Write the documents of a text shard that are in the sample, as `SAMPLE`, and return the path.

    `work` is the text shard, whether its documents are references, and the path to write to. `limits` are the highest orders of
    references and of other documents.
    """
    texts, reference, path = work
    chosen, taken = limits[0] if reference else limits[1], set[tuple[Group, int]]()
    with interim.writer(path, SAMPLE) as output, pq.ParquetFile(texts) as opened:
        for batch in opened.iter_batches(batch_size=BATCH, columns=["text_hash", "language", "domain", "text"]):
            orders = _orders(batch, seed)
            groups = groups_of(batch, by_domain=not reference)
            low = {
                (group, int(order)): row
                for row, (group, order) in enumerate(zip(groups, orders, strict=True))
                if group in chosen and order <= chosen[group]
            }
            rows = sorted(row for key, row in low.items() if key not in taken)
            taken |= low.keys()
            if rows:
                column = batch["text"].take(pa.array(rows))
                features = pa.array(features_of(*bytes_of(column)), pa.large_binary())
                languages = batch["language"].take(pa.array(rows))
                output.write_table(pa.table([orders[rows], languages, [reference] * len(rows), features], schema=SAMPLE))
    return path
