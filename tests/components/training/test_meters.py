"""Figures of speed and of where time goes."""

import pytest
import torch

from components.training.meters import NOT_USEFUL, PHASES, Goodput, Meter, Stopwatch

CPU = torch.device("cpu")


def test_utilisation_is_left_out_where_no_peak_is_known() -> None:
    meter = Meter.of(CPU, "bf16", {"model_flops_utilisation": 1e6}, workers=1)
    assert meter.figures(100, 2.0, 5) == {"tokens_per_second": 50.0}


def test_utilisations_are_shares_of_the_peak_of_all_devices() -> None:
    flops = {"model_flops_utilisation": 1e6, "paper_flops_utilisation": 5e5}
    figures = Meter(flops, 2e8, Stopwatch(CPU)).figures(100, 1.0, 5)
    assert figures["model_flops_utilisation"] == pytest.approx(0.5)
    assert figures["paper_flops_utilisation"] == pytest.approx(0.25)


def test_the_last_step_reports_the_mean_of_each_part_and_no_time_left() -> None:
    meter = Meter.of(CPU, "bf16", {}, workers=1)
    for remaining in (1, 0):
        with meter.stopwatch.phase("forward"):
            torch.randn(300, 300) @ torch.randn(300, 300)
        figures = meter.figures(10, 1.0, remaining)
    assert {f"seconds/{phase}" for phase in PHASES} <= set(figures)
    assert figures["seconds/forward"] > 0
    assert figures["seconds/data"] == figures["seconds_left"] == 0
    assert figures["memory_bytes"] > 0


def test_the_time_left_is_that_of_the_steps_so_far() -> None:
    meter = Meter.of(CPU, "bf16", {}, workers=1)
    meter.figures(10, 1.0, 9)
    meter._reported = float("-inf")
    assert meter.figures(10, 3.0, 8)["seconds_left"] == pytest.approx(16.0)


def test_reading_a_stopwatch_sets_it_back() -> None:
    stopwatch = Stopwatch(CPU)
    with stopwatch.phase("data"):
        pass
    assert stopwatch.read()["data"] > 0
    assert stopwatch.read()["data"] == 0


def test_goodput_and_its_losses_are_all_of_the_time() -> None:
    goodput = Goodput(started=0.0)
    goodput.add(10.0, dict.fromkeys(PHASES, 0.0) | {"data": 1.0, "checkpoint": 2.0})
    figures = goodput.figures(20.0)
    assert figures["goodput"] == pytest.approx(0.35)
    assert figures["lost/restarts"] == pytest.approx(0.5)
    assert sum(figures.values()) == pytest.approx(1.0)
    assert set(figures) == {"goodput", "lost/restarts", *(f"lost/{cause}" for cause in NOT_USEFUL)}


def test_the_next_attempt_counts_the_pause_as_lost() -> None:
    first = Goodput(started=0.0)
    first.add(10.0, dict.fromkeys(PHASES, 0.0))
    second = Goodput(**first.as_json())
    second.add(10.0, dict.fromkeys(PHASES, 0.0))
    assert second.figures(100.0)["lost/restarts"] == pytest.approx(0.8)


def test_a_summary_is_of_all_steps_without_the_time_of_measuring_the_model() -> None:
    meter = Meter({"utilisation": 2.0}, 400.0, Stopwatch(CPU))
    assert meter.summary() == {}
    meter.figures(100, 1.0, 1)
    meter.figures(200, 2.0, 0)
    summary = meter.summary()
    assert summary["tokens_per_second"] == pytest.approx(100.0)
    assert summary["utilisation"] == pytest.approx(0.5)
    assert summary["training_seconds"] == pytest.approx(3.0)
    assert summary.keys() >= {"goodput", "lost/restarts", "memory_bytes"}
