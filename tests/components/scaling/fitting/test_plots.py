"""Plots: which a fit allows, what they show, and that they look the same everywhere."""

import dataclasses
from collections.abc import Iterator
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from components.artifacts import ModelShape, Plan
from components.flops import scale_of
from components.scaling.fitting.fit import Fit, fit
from components.scaling.fitting.fitted_law import law_of
from components.scaling.fitting.plots import plots, png, svg, verdict_plot
from tests.components.artifacts.samples import VERDICT
from tests.components.scaling.fitting.conftest import QUICK, runs, whole
from tests.components.scaling.fitting.test_hyper_parameters import grid

SHAPE = ModelShape(n_layer=4, d_model=128, n_head=4, n_kv_head=4, d_ffn=512, vocab_size=4096, context=256)
PLAN = Plan(
    shape=SHAPE,
    tokens=10**9,
    batch_size=8,
    sequence_length=256,
    steps=100,
    learning_rate=1e-3,
    init_std=0.02,
    warmup_steps=5,
    compute=1e16,
    memory_bytes=1,
    law={},
)


@pytest.fixture(scope="module")
def made() -> Fit:
    return whole()


def labels(figure: Figure) -> Iterator[str]:
    for axes in figure.axes:
        yield from (axes.get_xlabel(), axes.get_ylabel(), axes.get_title(), *axes.get_legend_handles_labels()[1])


def test_a_method_that_was_refused_has_no_plot(made: Fit) -> None:
    assert [name for name, _, _ in plots(made)] == ["isoflop", "frontier", "predicted"]
    assert [name for name, _, _ in plots(dataclasses.replace(made, parametric=None))] == ["isoflop", "frontier"]
    assert [name for name, _, _ in plots(dataclasses.replace(made, isoflop=None))] == ["predicted"]


def test_the_frontier_is_labelled_with_exponents_and_their_intervals(made: Fit) -> None:
    assert made.isoflop is not None
    exponent = made.isoflop.n_exponent
    (frontier,) = (figure for name, _, figure in plots(made) if name == "frontier")
    assert f"N: exponent {exponent.value:.3f} [{exponent.low:.3f}, {exponent.high:.3f}]" in list(labels(frontier))


def test_contours_have_a_panel_for_each_budget() -> None:
    c, batch, rate, loss = grid(0)
    made = fit(runs(c=c, batch=batch, learning_rate=rate, loss=loss), QUICK)
    assert made.hyper_parameters is not None
    ((name, _, figure),) = plots(made)
    assert name == "hyper-parameters"
    assert sum(axes.get_title().endswith("FLOPs") for axes in figure.axes) == len(made.hyper_parameters.surfaces)


def test_a_verdict_shows_prediction_and_result_at_the_compute_of_the_training(made: Fit) -> None:
    law = law_of(made, name="mine", data="runs.csv")
    figure = verdict_plot(law, PLAN, replace(VERDICT, predicted=2.0, low=1.9, high=2.2, actual=2.1, position="inside"))
    (axes,) = figure.axes
    (result,) = (line for line in axes.lines if line.get_label() == "came out")
    assert result.get_xydata().tolist() == [[6 * scale_of(SHAPE, 256, law.scale) * PLAN.tokens, 2.1]]
    assert {"bits per byte", "training runs fitted", "predicted, 95 % interval"} <= set(labels(figure))


def test_pictures_have_equal_bytes_and_no_text_that_needs_a_font(made: Fit) -> None:
    (first, *_), (again, *_) = plots(made), plots(made)
    assert svg(first[2]) == svg(again[2])
    assert b"<text" not in svg(first[2])
    assert png(first[2]) == png(again[2])
