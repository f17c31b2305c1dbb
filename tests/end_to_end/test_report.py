"""A finished run can be read afterwards: its series, its page, its steps."""

from pathlib import Path

import pytest

from components.series import Series
from infra.settings import Settings
from tests.end_to_end.commands import as_json
from workflows.steps.journals import journal_of

pytestmark = pytest.mark.ray

MEASURED = {"loss", "learning_rate", "gradient_norm", "tokens", "tokens_per_second", "memory_bytes"}


@pytest.mark.parametrize("step", ["pretraining", "sft", "dpo"])
def test_each_training_has_a_series_with_each_of_its_steps(finished: Path, step: str) -> None:
    journal = journal_of(Settings(home=finished), "latest")
    series = Series.read(journal.series(step))
    assert list(series.steps) == list(range(1, journal.last(step)["figures"]["steps"] + 1))
    assert series.columns.keys() >= MEASURED


def test_the_run_has_left_its_page_with_all_trainings_data_checks_evaluation_and_times(finished: Path) -> None:
    text = (journal_of(Settings(home=finished), "latest").directory / "report.html").read_text(encoding="utf-8")
    for section in ("pretraining", "sft", "dpo", "data", "checks", "evaluation", "times"):
        assert f'<h2 id="{section}">' in text
    assert text.count("<polyline") > 12
    assert "finished" in text


def test_a_step_says_its_inputs_configuration_figures_time_and_memory(finished: Path) -> None:
    sft = as_json("logs", "latest", "sft", home=finished)
    assert sft["state"] == "made"
    assert sft["inputs"].keys() == {"conversations", "checkpoint"}
    assert sft["config"]["epochs"] >= 1
    assert sft["figures"]["steps"] >= 1
    assert sft["measurements"]["peak_memory_bytes"] > 100e6
    (run,) = as_json("runs", home=finished)
    assert (run["state"], run["result"], run["failure"]) == ("finished", "tiny/1", "")
    assert run["figure"].startswith("bits per byte")
