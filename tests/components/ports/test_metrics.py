"""Where figures go: the last word of a step stays."""

from components.ports import Metrics, RecordedMetrics, SilentMetrics


def test_a_step_logged_again_replaces_its_values_and_keeps_the_others() -> None:
    metrics = RecordedMetrics()
    metrics.log(1, {"loss": 3.0, "rate": 1.0})
    metrics.log(1, {"loss": 2.0})
    assert metrics.values == {1: {"loss": 2.0, "rate": 1.0}}


def test_progress_is_kept_in_order() -> None:
    metrics = RecordedMetrics()
    metrics.progress(1, 3, "steps")
    metrics.progress(2, 3, "steps")
    assert metrics.seen == [(1, 3, "steps"), (2, 3, "steps")]


def test_silent_metrics_take_everything_and_keep_nothing() -> None:
    metrics: Metrics = SilentMetrics()
    metrics.log(1, {"loss": 3.0})
    metrics.progress(1, 3, "steps")
    assert not vars(metrics)
