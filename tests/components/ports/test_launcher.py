"""What every launcher promises, shown on the one that stays in this process."""

import pytest

from components.errors import CheckpointError, ConfigError
from components.ports import InProcessLauncher, RecordedMetrics, RecordingReporter, TrainingReporter


def work(spec: str, reporter: TrainingReporter) -> tuple[str, int, int]:
    if spec == "fails":
        raise CheckpointError("no such luck")
    for step in (1, 2, 2):
        reporter.report(step, 2, {"loss": 1.0 / step})
    return spec, reporter.rank, reporter.world_size


def test_results_come_in_the_order_of_ranks() -> None:
    assert InProcessLauncher().launch(work, "spec", workers=1, metrics=RecordedMetrics()) == [("spec", 0, 1)]


def test_reports_reach_the_metrics_under_their_step_with_the_progress() -> None:
    metrics = RecordedMetrics()
    InProcessLauncher().launch(work, "spec", workers=1, metrics=metrics)
    assert metrics.values == {1: {"loss": 1.0}, 2: {"loss": 0.5}}
    assert metrics.seen[-1] == (2, 2, "steps")


def test_an_error_of_the_work_is_raised_as_it_is() -> None:
    with pytest.raises(CheckpointError, match="no such luck"):
        InProcessLauncher().launch(work, "fails", workers=1, metrics=RecordedMetrics())


def test_more_workers_than_one_are_refused_with_the_launcher_to_use() -> None:
    with pytest.raises(ConfigError, match="supports 1 worker, not 2; use the Ray launcher"):
        InProcessLauncher().launch(work, "spec", workers=2, metrics=RecordedMetrics())


def test_only_what_is_not_the_work_counts_as_overhead() -> None:
    launcher = InProcessLauncher()
    launcher.launch(work, "spec", workers=1, metrics=RecordedMetrics())
    assert 0 <= launcher.overhead_seconds < 60


def test_only_the_first_rank_of_several_passes_reports_on() -> None:
    metrics = RecordedMetrics()
    RecordingReporter(metrics, rank=1, world_size=2).report(1, 2, {"loss": 1.0})
    assert metrics.values == {}
    assert metrics.seen == []
