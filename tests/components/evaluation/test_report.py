"""The report's files: complete, readable, and equal for equal findings."""

import dataclasses
import json

import pyarrow.parquet as pq
import pytest

from components.artifacts import Change, Findings, Omission, OmissionCase, Omissions
from components.errors import ArtifactError
from components.evaluation import report
from components.evaluation.findings import DEFINITIONS
from tests.components.evaluation.conftest import BITS, NASTY, findings


@pytest.fixture
def written(tmp_path):
    report.write(findings(), tmp_path)
    return tmp_path


def test_the_metrics_tables_hold_one_row_for_each_figure(written):
    expected = {"bits_per_byte": 10, "tasks": 11, "contamination": 1, "alignment": 1}
    tables = {name: pq.read_table(written / f"metrics/{name}.parquet") for name in expected}
    assert {name: table.num_rows for name, table in tables.items()} == expected
    assert tables["bits_per_byte"].column_names == ["model", "domain", "bits_per_byte", "documents", "bytes"]
    assert tables["tasks"].column_names == [
        *("model", "task", "metric", "value", "items", "chance", "clean_value", "clean_items")
    ]
    assert tables["contamination"].column_names == ["benchmark", "items", "contaminated", "not_searched", "documents"]
    assert tables["alignment"].column_names == ["measure", "kind", "before", "after", "after_low", "after_high"]


def test_what_was_left_out_is_in_the_report_the_page_and_the_record(tmp_path):
    case = OmissionCase(uri="quiz.jsonl#7", detail="the answer <9> is not one of the 4 options")
    row = Omission(source="quiz", unit="items", reason="wrong-answer", count=30, total=1200, cases=(case,))
    report.write(dataclasses.replace(findings(), omissions=(row,), definitions=DEFINITIONS), tmp_path)
    assert "| quiz | items | wrong-answer | 30 of 1,200 | 2.5% | quiz.jsonl#7: " in (tmp_path / "report.md").read_text()
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Left out</h2>" in page
    assert "quiz.jsonl#7: the answer &lt;9&gt; is not one of the 4 options" in page
    assert Omissions.read(tmp_path).rows == Findings.read(tmp_path).omissions == (row,)


def test_a_report_that_left_out_nothing_does_not_say_so(written):
    assert "Left out" not in (written / "report.md").read_text()
    assert Omissions.read(written).rows == ()


def test_the_markdown_has_the_figures_and_escapes_bars(written):
    text = (written / "report.md").read_text(encoding="utf-8")
    assert "| base | 1.900 | 2.400 | 2.025 |" in text
    assert "| answer-choice | acc_norm | 40.0% | 40.0% | 40.0% | 25.0% | 20 |" in text
    assert "| quiz | acc_norm | dpo | 62.5% | 50.0% | 50.0% | 20 | 16 |" in text
    assert "| quiz | acc_norm | base | 62.5% | – | 50.0% | 20 | 0 |" in text
    assert "| quiz | 1,200 | 30 | 4 | 50 |" in text
    assert report.table(["a|b"], []) == "| a\\|b |\n| --- |"


def test_report_json_can_be_read_back(written):
    read = json.loads((written / "report.json").read_text(encoding="utf-8"))
    assert read["aggregate"]["byte-unigram"] == pytest.approx(4.575)
    assert read["samples"][1]["answer"] == NASTY
    assert {row["model"] for row in read["bits_per_byte"]} == set(BITS)


def test_a_figure_that_is_not_a_number_is_not_written(tmp_path):
    broken = dataclasses.replace(
        findings(), alignment=(Change(measure="loss", kind="", before=float("nan"), after=1.0, after_low=0.5, after_high=1.5),)
    )
    with pytest.raises(ArtifactError, match="JSON"):
        report.write(broken, tmp_path)


def test_equal_findings_give_equal_bytes(written, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    report.write(findings(), again)
    names = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert len(names) == 9
    assert all((again / name).read_bytes() == (written / name).read_bytes() for name in names)


def test_without_items_and_alignment_the_report_is_still_whole(tmp_path):
    report.write(dataclasses.replace(findings(), tasks=(), contamination=(), alignment=(), samples=()), tmp_path)
    assert "Bits per byte" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not {"## Benchmarks", "## Contamination"} & set((tmp_path / "report.md").read_text(encoding="utf-8").splitlines())


def test_what_a_model_wrote_is_no_markdown(written):
    lines = (written / "report.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("```")] == []
