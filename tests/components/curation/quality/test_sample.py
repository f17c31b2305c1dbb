"""The sample of a language is bounded, balanced between domains, and independent of sharding."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import interim
from components.curation import CurationConfig, QualityConfig
from components.curation.quality.sample import draw, groups_of, lowest_orders, take
from components.curation.text.draw import hash_of
from components.errors import SourceError
from components.ports import InProcessShardEngine
from tests.components.curation.conftest import config, source

QUALITY = QualityConfig(references=(source("y", "encyclopedia"),), min_documents=5, sample_documents=20)
CONFIG = config(source("x"), quality=QUALITY)


SCHEMA = pa.schema([("text_hash", pa.uint64()), *((name, pa.string()) for name in ("language", "domain", "text"))])


def documents(language: str, domain: str, numbers: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {
            "text_hash": hash_of(f"{domain} {number}".encode()),
            "language": language,
            "domain": domain,
            "text": f"{domain} {number}",
        }
        for number in numbers
    ]


REFERENCES = documents("en", "encyclopedia", range(50)) + documents("zh", "encyclopedia", range(100, 103))
TEXTS = documents("en", "web", range(100)) + documents("en", "forum", range(40)) + documents("zh", "web", range(200, 230))


def sharded(directory: Path, rows: list[dict[str, Any]], shards: int) -> list[Path]:
    directory.mkdir(parents=True)
    paths = [directory / f"{number}.parquet" for number in range(shards)]
    for number, path in enumerate(paths):
        pq.write_table(pa.Table.from_pylist(rows[number::shards], SCHEMA), path)
    return paths


def drawn(directory: Path, shards: int, chosen: CurationConfig = CONFIG) -> tuple[pa.Table, dict[str, int]]:
    references, texts = sharded(directory / "references", REFERENCES, shards), sharded(directory / "texts", TEXTS, shards)
    partitions, counts = draw(chosen.quality, references, texts, directory, InProcessShardEngine(), seed=chosen.seed)
    return pa.concat_tables([interim.read(path) for path in partitions]), counts


def test_a_language_without_enough_references_is_not_learned(tmp_path: Path) -> None:
    sample, counts = drawn(tmp_path, 2)
    assert counts == {"en": 50}
    assert set(sample["language"].to_pylist()) == {"en"}


def test_references_and_documents_are_as_many_and_domains_give_the_same_number(tmp_path: Path) -> None:
    sample, _ = drawn(tmp_path, 3)
    assert Counter(sample["reference"].to_pylist()) == {True: 20, False: 20}
    forum = set(lowest_orders_of(tmp_path, "forum")[:10])
    taken = {order for order, reference in zip(*columns(sample), strict=True) if not reference}
    assert forum < taken


def lowest_orders_of(directory: Path, domain: str) -> list[int]:
    """All orders of the English documents of a domain, ascending."""
    orders = [lowest_orders(path, max_orders=1000, seed=CONFIG.seed) for path in sorted((directory / "texts").iterdir())]
    return sorted(int(order) for own in orders for order in own["en", domain][1])


def columns(sample: pa.Table) -> tuple[list[int], list[bool]]:
    return sample["order"].to_pylist(), sample["reference"].to_pylist()


def test_the_sample_is_the_same_however_the_documents_are_sharded(tmp_path: Path) -> None:
    samples = [sorted(zip(*columns(drawn(tmp_path / str(shards), shards)[0]), strict=True)) for shards in (1, 4)]
    assert samples[0] == samples[1]


def test_another_seed_draws_others(tmp_path: Path) -> None:
    first, _ = drawn(tmp_path / "a", 1)
    second, _ = drawn(tmp_path / "b", 1, replace(CONFIG, seed=CONFIG.seed + 1))
    assert set(first["features"].to_pylist()) != set(second["features"].to_pylist())


def test_too_few_documents_of_both_kinds_are_told_with_their_counts(tmp_path: Path) -> None:
    quality = replace(CONFIG.quality, min_documents=60, sample_documents=60)
    with pytest.raises(SourceError, match=r"no language has 60 documents .* \(references: 50 en, 3 zh\)"):
        drawn(tmp_path, 2, replace(CONFIG, quality=quality))


def test_lowest_orders_are_counted_by_group_and_bounded(tmp_path: Path) -> None:
    (path,) = sharded(tmp_path / "texts", TEXTS, 1)
    lowest = lowest_orders(path, max_orders=7, seed=0)
    assert {group: (count, len(orders)) for group, (count, orders) in lowest.items()} == {
        ("en", "forum"): (40, 7),
        ("en", "web"): (100, 7),
        ("zh", "web"): (30, 7),
    }
    every = lowest_orders(path, max_orders=1000, seed=0, by_domain=False, languages=frozenset({"en"}))
    assert {group: len(orders) for group, (_, orders) in every.items()} == {("en", ""): 140}
    assert groups_of(pq.read_table(path), by_domain=False)[0] == ("en", "")


def test_a_text_is_drawn_once_however_many_copies_of_it_there_are(tmp_path: Path) -> None:
    once, copied = documents("en", "web", range(9)), documents("en", "web", [*range(9), *[3] * 40])
    (single,), (several,) = sharded(tmp_path / "once", once, 1), sharded(tmp_path / "copied", copied, 1)
    orders = [lowest_orders(path, max_orders=20, seed=1)["en", "web"] for path in (single, several)]
    assert [count for count, _ in orders] == [9, 49]
    assert orders[0][1].tolist() == orders[1][1].tolist()
    limits = ({}, {("en", "web"): orders[0][1][-1]})
    taken = [take((path, False, tmp_path / f"{path.parent.name}.arrow"), limits=limits, seed=1) for path in (single, several)]
    assert [sorted(interim.read(path)["order"].to_pylist()) for path in taken] == [orders[0][1].tolist()] * 2
