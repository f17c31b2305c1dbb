"""Charts show every extreme, have round labels, and mark incidents where they happened."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.run_report.charts import (
    BUCKETS,
    END,
    HEIGHT,
    MAX_LINES,
    SMOOTHED,
    START,
    TIPS,
    WIDTH,
    Axis,
    LineChart,
    charts_of,
    count,
    decades,
    means,
    round_values,
)
from components.run_report.values import MarkedStep, TrainingCurves
from components.series import Series


def curves(rows: list[dict[str, float]], step: str = "pretraining", **more: object) -> TrainingCurves:
    """A training with these rows, one per step."""
    lines = "".join(json.dumps({"step": number, **row}) + "\n" for number, row in enumerate(rows, start=1))
    return TrainingCurves(step=step, title=step, state="made", series=Series.parse(lines.encode()), **more)  # type: ignore[arg-type]


def points(text: str) -> list[tuple[float, float]]:
    """The points of an SVG line."""
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def chart(training: TrainingCurves, title: str) -> LineChart:
    return next(chart for chart in charts_of(training) if chart.title == title)


def test_there_is_a_chart_for_each_figure_that_was_measured_and_none_for_bookkeeping() -> None:
    row = {"loss": 2.0, "loss/code": 1.9, "learning_rate": 1e-3, "gradient_norm": 1.0, "tokens": 5.0, "tokens_per_second": 9.0}
    other = {
        "bits_per_byte": 1.5,
        "bits_per_byte/code": 1.4,
        "memory_bytes": 1e9,
        "goodput": 0.9,
        "seconds/data": 0.1,
        "spike": 1.0,
    }
    assert [chart.title for chart in charts_of(curves([row, row | other]))] == [
        *("Loss", "Bits per byte", "Learning rate", "Gradient norm", "Tokens per second", "Memory")
    ]
    kinds = {"loss": 0.7, "reward_margin": 0.1, "validation/reward_margin/all": 0.2, "validation/preference_loss/all": 0.6}
    assert [chart.title for chart in charts_of(curves([kinds], step="dpo"))] == [
        *("Loss", "Reward margin", "Preference loss", "Reward margin")
    ]
    assert charts_of(curves([])) == []


def test_a_line_goes_from_the_first_step_at_the_left_to_the_last_at_the_right_and_up_for_larger_values() -> None:
    (line,) = chart(curves([{"loss": 3.0}, {"loss": 2.0}, {"loss": 1.0}]), "Loss").lines
    (x0, y0), (_, y1), (x2, y2) = points(line.exact)
    assert (x0, x2) == (START, WIDTH - END)
    assert 0 < y0 < y1 < y2 < HEIGHT
    assert (line.smooth, line.last) == ("", "1")


def test_a_long_training_keeps_a_spike_of_one_step_and_has_a_smoothed_line_beside_it() -> None:
    rows = [{"loss": 9.0 if step == 5000 else 2.0, "loss/code": 2.0} for step in range(10_000)]
    drawn = chart(curves(rows), "Loss")
    whole, code = drawn.lines
    assert len(points(whole.exact)) <= 2 * BUCKETS
    assert min(y for _, y in points(whole.exact)) < drawn.top + 15
    assert points(whole.smooth)
    assert (code.exact, bool(code.smooth)) == ("", True)


def test_a_learning_rate_is_drawn_as_it_was() -> None:
    drawn = chart(curves([{"learning_rate": 1e-3 if step < 800 else 1e-4} for step in range(SMOOTHED + 800)]), "Learning rate")
    assert drawn.lines[0].smooth == ""


def test_incidents_are_marked_at_their_step_and_those_without_a_step_in_the_series_are_not() -> None:
    incidents = tuple(MarkedStep(step=step, reason="a spike") for step in (2, 99))
    drawn = chart(curves([{"loss": 1.0}] * 3, incidents=incidents), "Loss")
    assert [(mark.x, mark.incident.step) for mark in drawn.marks] == [((START + WIDTH - END) / 2, 2)]


def test_tooltips_cover_the_chart_and_name_the_values_of_a_step() -> None:
    drawn = chart(curves([{"loss": 2.0, "loss/code": 1.0}] * 1000), "Loss")
    assert 0 < len(drawn.tips) <= TIPS
    assert drawn.tips[0].text.endswith(": all 2, code 1")
    assert drawn.tips[0].x == START


def test_more_domains_than_a_chart_can_show_are_counted() -> None:
    row = {"loss": 1.0} | {f"loss/domain-{number}": 1.0 for number in range(9)}
    drawn = chart(curves([row]), "Loss")
    assert len(drawn.lines) == MAX_LINES
    assert drawn.caption.endswith("; 4 more figures are not shown")


@given(low=st.floats(-1e9, 1e9), width=st.floats(1e-6, 1e9), number=st.integers(2, 8))
def test_labels_of_an_axis_are_round_and_within_it(low: float, width: float, number: int) -> None:
    high = low + width
    if high > low and math.ulp(high) < width / 100:
        values = round_values(low, high, number)
        assert len(values) <= number + 1
        assert all(low - width / 1e6 <= value <= high + width / 1e6 for value in values)


def test_a_logarithmic_axis_has_powers_of_ten() -> None:
    assert decades(0.8, 12) == [1, 2, 5, 10]
    assert decades(1e-3, 1e3) == [1e-3, 1e-2, 1e-1, 1, 10, 100, 1000]
    axis = Axis(1, 100, 0, 10, logarithmic=True)
    assert [axis.at(value) for value in (1, 10, 100)] == [0, 5, 10]


def test_constant_values_are_a_line_in_the_middle_of_the_chart() -> None:
    (line,) = chart(curves([{"loss": 2.0}] * 2), "Loss").lines
    assert len({y for _, y in points(line.exact)}) == 1


def test_means_are_of_equally_many_neighbours() -> None:
    assert means([(1, 1.0), (2, 3.0), (3, 5.0), (4, 7.0)], 2) == [(2, 2.0), (4, 6.0)]


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.00017, "1.7e-4"), (0.0125, "0.0125"), (2.50641, "2.506"), (12_345, "12.3k"), (1.7e9, "1.7G")],
)
def test_numbers_are_short(value: float, words: str) -> None:
    assert count(value) == words
