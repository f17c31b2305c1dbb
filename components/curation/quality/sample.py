"""What the classifiers learn from: a bounded sample of each language, the same however the documents are parted.

Documents are ordered by a hash of their ids and the seed, and those of the least orders are taken: a part tells its least ones,
all parts together say up to which order to take, and each part gives what lies below. Every domain of a language gives as many.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import interim
from components.curation.config import CurationConfig
from components.curation.duplicates.sketches import bytes_of
from components.curation.quality.calibration import Group
from components.curation.quality.classifier import features_of
from components.curation.text.draw import order_of
from components.errors import SourceError
from components.hashing import mixed
from components.machine_code import Hashes
from components.ports import ShardEngine

BATCH = 4096
"""Documents taken from a part at a time."""

SAMPLE = pa.schema({"order": pa.uint64(), "language": pa.string(), "reference": pa.bool_(), "features": pa.large_binary()})
"""A document to learn from, by the buckets of its words."""

Drawn = dict[Group, tuple[int, Hashes]]
"""Documents of each group, and the least of their orders."""


def draw(
    config: CurationConfig, references: Sequence[Path], parts: Sequence[Path], scratch: Path, engine: ShardEngine
) -> tuple[list[Path], dict[str, int]]:
    """`SAMPLE` by language in partitions, and how many references each language has that is to be learned.

    Raises:
        SourceError: no language has enough documents of both kinds.
    """
    quality = config.quality
    order = partial(least_orders, most=quality.sample_documents, seed=config.seed)
    together = partial(_together, most=quality.sample_documents)
    of_references = engine.map_shards(partial(order, by_domain=False), references, description="draw references")
    wanted = engine.reduce(together, of_references)
    known = frozenset(language for (language, _), (count, _) in wanted.items() if count >= quality.min_documents)
    order = partial(order, languages=known)
    usual = engine.reduce(together, engine.map_shards(order, parts, description="draw documents"))
    enough = sorted(language for language in known if _documents(usual, language) >= quality.min_documents)
    if not enough:
        found = ", ".join(f"{count} {language}" for (language, _), (count, _) in sorted(wanted.items()))
        raise SourceError(
            f"quality.references: no language has {quality.min_documents} documents both there and in the sources "
            f"(references: {found}); name more references, or lower quality.min_documents"
        )
    limits = (_limits(wanted, enough, quality.sample_documents), _limits(usual, enough, quality.sample_documents))
    work = [(part, True, scratch / f"reference-{number:05d}{interim.SUFFIX}") for number, part in enumerate(references)]
    work += [(part, False, scratch / f"document-{number:05d}{interim.SUFFIX}") for number, part in enumerate(parts)]
    taken = engine.map_shards(partial(take, limits=limits, seed=config.seed), work, description="take the sample")
    gathered = engine.exchange(taken, key="language", partitions=len(enough), output=scratch / "sample")
    return gathered, {language: wanted[language, ""][0] for language in enough}


def least_orders(part: Path, *, most: int, seed: int, by_domain: bool = True, languages: frozenset[str] | None = None) -> Drawn:
    """What a part holds of each language in each domain, or in all of them together, and its least `most` orders."""
    table = pq.read_table(part, columns=["id", "language", "domain"])
    groups, orders = groups_of(table, by_domain=by_domain), _orders(table, seed)
    found = {}
    for group in sorted(set(groups)):
        if languages is None or group[0] in languages:
            own = orders[[one == group for one in groups]]
            found[group] = (len(own), np.sort(own)[:most])
    return found


def _together(left: Drawn, right: Drawn, *, most: int) -> Drawn:
    both = {}
    for group in {**left, **right}:
        sides = [side[group] for side in (left, right) if group in side]
        orders = np.sort(np.concatenate([orders for _, orders in sides]))[:most]
        both[group] = (sum(count for count, _ in sides), orders)
    return both


def _documents(drawn: Drawn, language: str) -> int:
    return sum(count for (one, _), (count, _) in drawn.items() if one == language)


def _limits(drawn: Drawn, languages: Sequence[str], documents: int) -> dict[Group, np.uint64]:
    """The greatest order that is taken of each group: every domain of a language gives as many."""
    domains = {language: sum(one == language for one, _ in drawn) for language in languages}
    return {
        (language, domain): orders[: max(1, documents // domains[language])][-1]
        for (language, domain), (_, orders) in drawn.items()
        if language in domains
    }


def groups_of(table: pa.Table | pa.RecordBatch, *, by_domain: bool = True) -> list[Group]:
    """Language and domain of each document, or its language alone."""
    languages, domains = table["language"].to_pylist(), table["domain"].to_pylist()
    return list(zip(languages, domains if by_domain else [""] * len(languages), strict=True))


def _orders(table: pa.Table | pa.RecordBatch, seed: int) -> Hashes:
    heads = np.array([order_of(identity) for identity in table["id"].to_pylist()], dtype=np.uint64)
    return mixed(heads + np.uint64(seed))


def take(
    work: tuple[Path, bool, Path], *, limits: tuple[Mapping[Group, np.uint64], Mapping[Group, np.uint64]], seed: int
) -> Path:
    """Write what the sample has of a part, as `SAMPLE`."""
    part, reference, path = work
    chosen = limits[0] if reference else limits[1]
    with interim.writer(path, SAMPLE) as output, pq.ParquetFile(part) as opened:
        for batch in opened.iter_batches(batch_size=BATCH, columns=["id", "language", "domain", "text"]):
            orders = _orders(batch, seed)
            groups = groups_of(batch, by_domain=not reference)
            rows = [row for row, group in enumerate(groups) if group in chosen and orders[row] <= chosen[group]]
            if rows:
                texts = batch["text"].take(pa.array(rows))
                features = pa.array(features_of(*bytes_of(texts)), pa.large_binary())
                languages = batch["language"].take(pa.array(rows))
                output.write_table(pa.table([orders[rows], languages, [reference] * len(rows), features], schema=SAMPLE))
    return path
