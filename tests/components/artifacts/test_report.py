"""The findings of an evaluation, and what follows from them."""

import json
from pathlib import Path

import pytest

from components.artifacts import Findings
from tests.components.artifacts.samples import FINDINGS


def test_models_and_domains_come_in_the_order_in_which_they_were_measured() -> None:
    assert FINDINGS.models == ["base", "dpo", "byte-unigram", "zlib-9"]
    assert FINDINGS.domains == ["code", "prose"]


def test_the_aggregate_weighs_domains_by_fixed_shares() -> None:
    assert FINDINGS.aggregate["dpo"] == pytest.approx(0.5 * 2.1 + 0.5 * 2.3)


def test_benchmarks_are_the_tasks_whose_items_are_public() -> None:
    assert [row.task for row in FINDINGS.benchmarks] == ["quiz"]
    assert [row.task for row in FINDINGS.held_out_tasks] == ["answer-choice"]


def test_the_file_holds_the_aggregate_for_other_programs_and_reading_counts_it_anew(tmp_path: Path) -> None:
    FINDINGS.write(tmp_path)
    raw = json.loads((tmp_path / "report.json").read_text())
    assert raw["aggregate"] == FINDINGS.aggregate
    (tmp_path / "report.json").write_text(json.dumps(raw | {"aggregate": {"dpo": 0.0}}))
    assert Findings.read(tmp_path).aggregate == FINDINGS.aggregate
