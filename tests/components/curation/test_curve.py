"""The share of removed documents grows with the number of sources, and each point matches a deduplication of its sources."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.curation.config import CurationConfig
from components.curation.curve import counts_up_to, measure_curve
from components.curation.tables.reasons import EXACT, NEAR
from components.errors import SourceError
from components.ports import InProcessShardEngine, RecordedMetrics
from tests.components.curation.conftest import changed, config, prose, run, source, write_jsonl

pytestmark = pytest.mark.long


def measured(chosen: CurationConfig, directory: Path) -> dict[str, Any]:
    (directory / "curve").mkdir(parents=True, exist_ok=True)
    return measure_curve(
        chosen,
        output=directory / "curve",
        scratch=directory / "scratch",
        engine=InProcessShardEngine(),
        metrics=RecordedMetrics(),
    )


def dumps(directory: Path, count: int) -> CurationConfig:
    """Each dump has ten unique texts, ten that all dumps share except for one word, and one text twice."""
    directory.mkdir(parents=True, exist_ok=True)
    for dump in range(count):
        own = [prose(20 * dump + number, 200) for number in range(10)]
        shared = [f"{prose(500 + number, 200)} seen{'abcdef'[dump]}" for number in range(10)]
        write_jsonl(directory / f"{dump}.jsonl", [*own, *shared, own[0]])
    return config(*(source(directory / f"{dump}.jsonl") for dump in range(count)), validation_share=0.5, shard_bytes=60_000)


def test_more_sources_together_lose_more_and_apart_no_more_than_one(tmp_path: Path) -> None:
    figures = measured(dumps(tmp_path / "dumps", 3), tmp_path)
    points = figures["points"]
    assert [point["sources"] for point in points] == [1, 2, 3]
    assert [point["documents"] for point in points] == [21, 42, 63]
    assert [point["removed_documents"] for point in points] == [1, 12, 23]
    assert all(point["removal_rate_apart"] == pytest.approx(1 / 21) for point in points)
    assert figures["removal_rate"] == points[-1]["removal_rate"] == 23 / 63
    assert all(0 < point["removed_bytes"] < point["bytes"] for point in points)


def test_each_point_is_what_curation_of_those_sources_removes(tmp_path: Path) -> None:
    chosen = dumps(tmp_path / "dumps", 3)
    points = measured(chosen, tmp_path)["points"]
    for point in points:
        first = replace(chosen, sources=chosen.sources[: point["sources"]])
        refused = run(first, tmp_path / str(point["sources"]))["not_kept"]
        assert point["removed_documents"] == refused.get(EXACT, 0) + refused.get(NEAR, 0)


def test_table_plot_and_page_say_the_same_and_have_equal_bytes_each_time(tmp_path: Path) -> None:
    chosen = dumps(tmp_path / "dumps", 2)
    points = measured(chosen, tmp_path / "one")["points"]
    measured(replace(chosen, shard_bytes=10**7), tmp_path / "two")
    files = ("curve.csv", "curve.json", "curve.png", "curve.html")
    assert all((tmp_path / "one/curve" / name).read_bytes() == (tmp_path / "two/curve" / name).read_bytes() for name in files)
    directory = tmp_path / "one/curve"
    assert json.loads((directory / "curve.json").read_text()) == points
    rows = list(csv.DictReader((directory / "curve.csv").read_text().splitlines()))
    assert [float(row["removal_rate"]) for row in rows] == [point["removal_rate"] for point in points]
    assert (directory / "curve.png").read_bytes().startswith(b"\x89PNG")
    page = (directory / "curve.html").read_text()
    assert f"{100 * points[-1]['removal_rate']:.2f} %" in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []


def test_a_killed_measurement_reads_nothing_twice(tmp_path: Path) -> None:
    chosen = dumps(tmp_path / "dumps", 2)
    expected = measured(chosen, tmp_path / "whole")
    metrics = RecordedMetrics()
    with pytest.raises(FileNotFoundError):
        measure_curve(
            chosen, output=tmp_path / "none", scratch=tmp_path / "again/scratch", engine=InProcessShardEngine(), metrics=metrics
        )
    for path in (tmp_path / "dumps").iterdir():
        path.write_text(path.read_text().replace(" the ", " other "))
    assert measured(chosen, tmp_path / "again") == expected


def test_what_a_config_says_of_languages_does_not_matter(tmp_path: Path) -> None:
    chosen = dumps(tmp_path / "dumps", 2)
    first, second = chosen.sources
    web = (first, replace(second, domain="web"))
    shares: dict[str, Any] = {
        "language_shares": {"web": {"en": 1.0}},
        "language_temperature": 2.0,
        "max_epochs_by_domain": {"web": 2.0},
    }
    expected = measured(replace(chosen, sources=web), tmp_path / "plain")
    assert measured(changed(chosen, sources=web, **shares), tmp_path / "shares") == expected


def test_a_source_without_a_document_is_named(tmp_path: Path) -> None:
    chosen = dumps(tmp_path / "dumps", 1)
    empty = write_jsonl(tmp_path / "short.jsonl", ["too short"])
    with pytest.raises(SourceError, match=r"source short \(.*short.jsonl\): none of its documents passed the filters"):
        measured(replace(chosen, sources=(*chosen.sources, source(empty))), tmp_path)


@pytest.mark.parametrize(
    ("sources", "counts"), [(1, [1]), (2, [1, 2]), (7, [1, 2, 3, 4, 6, 7]), (20, [1, 2, 3, 4, 6, 8, 12, 16, 20])]
)
def test_the_points_lie_closer_at_the_beginning_and_end_with_all_sources(sources: int, counts: list[int]) -> None:
    assert counts_up_to(sources) == counts
