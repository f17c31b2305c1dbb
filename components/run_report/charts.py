"""Line charts of a training as SVG coordinates: computed here, drawn by the template, without scripts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from components.run_report.values import MarkedStep, TrainingCurves
from components.series import downsampled
from components.training.spikes import NOT_FINITE, SPIKE

WIDTH, HEIGHT = 600, 210
"""Size of a chart in SVG units."""
START, END, TOP, FOOT = 60, 10, 14, 28
"""Margins of the area of the lines: for labels, and for the marks of incidents."""

BUCKETS = 270
"""Buckets of a line: one for two SVG units, so that no extreme is hidden."""

MEANS = 90
"""Points of the smoothed line: each is the mean of as many steps."""

NOISY = ("loss", "gradient_norm", "tokens_per_second", "reward_margin", "reward_accuracy")
"""Figures that get a smoothed line, with their kinds."""

SMOOTHED = 3 * MEANS
"""Minimum number of steps for a smoothed line."""

TIPS = 60
"""Areas with a tooltip in a chart."""

MAX_LINES = 6
"""Maximum lines of a chart; a training on more domains shows the mean and the first ones."""

MAX_MARKS = 200
"""Maximum incidents that are marked and listed."""

Point = tuple[int, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One figure in a chart."""

    label: str
    last: str
    """Its newest value in words."""
    exact: str
    """SVG points of every step, or of the lowest and highest value of each bucket; empty for the kinds of a figure that have a
    smoothed line, because they would hide each other."""
    smooth: str
    """SVG points of the means; empty for a short training."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An incident in a chart."""

    x: float
    incident: MarkedStep


@dataclass(frozen=True, slots=True)
class Tip:
    """An area of a chart with a tooltip."""

    x: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """A chart with its lines, axes and marks; all positions are in SVG units."""

    title: str
    caption: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    marks: tuple[Mark, ...]
    tips: tuple[Tip, ...]
    width: int = WIDTH
    height: int = HEIGHT
    start: int = START
    end: int = WIDTH - END
    top: int = TOP
    bottom: int = HEIGHT - FOOT


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values to positions."""

    low: float
    high: float
    start: float
    """Position of `low`."""
    stop: float
    """Position of `high`."""
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The position of a value, rounded to a tenth of a unit."""
        low, high, value = (math.log10(v) if self.logarithmic else v for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.stop - self.start), 1)

    def ticks(self, count: int) -> list[float]:
        """About `count` round values on the axis."""
        return decades(self.low, self.high) if self.logarithmic else round_values(self.low, self.high, count)


def charts_of(training: TrainingCurves) -> list[LineChart]:
    """The charts of a training: loss, validation, learning rate, gradient norm, tokens/s, memory, and the objective's figures."""
    return [chart for group in _groups(training) if (chart := _chart(training, *group)) is not None]


Group = tuple[str, str, list[str], bool]
"""Title, caption, figures, and whether the axis of values is logarithmic."""

_NOT_SHOWN = {"tokens", "workers", "resumed_from", "damaged_checkpoints", "goodput", "seconds_left", SPIKE, NOT_FINITE}
_SPEED = ("tokens_per_second", "memory_bytes")


def _groups(training: TrainingCurves) -> Iterator[Group]:
    series = training.series
    yield "Loss", _LOSS.get(training.step, "training loss"), series.family("loss"), False
    for name in _measures(training):
        title = name.rpartition("/")[2] if name.startswith("validation/") else name
        yield title.replace("_", " ").capitalize(), _words_of(name), series.family(name), False
    yield "Learning rate", "of each step", ["learning_rate"], False
    yield "Gradient norm", "before clipping; logarithmic axis", ["gradient_norm"], True
    yield "Tokens per second", "over all workers; only steps that this run did itself", ["tokens_per_second"], False
    yield "Memory", "bytes on the first worker", ["memory_bytes"], False


_LOSS = {
    "pretraining": "nats per token, of the batch of each step",
    "sft": "nats per token of answers, of the batch of each step",
    "dpo": "preference loss of the batch of each step; ln 2 = 0.693 at the start",
}


def _measures(training: TrainingCurves) -> list[str]:
    """Figures of validation and of the objective, without their kinds."""
    names = []
    for column in sorted(training.series.columns):
        first, *rest = column.split("/")
        name = "/".join([first, *rest[:1]]) if first == "validation" else first
        measured_of_loop = first in ("seconds", "lost", "loss", "learning_rate", "gradient_norm", *_SPEED, *_NOT_SHOWN)
        if not measured_of_loop and not first.endswith("_utilisation") and not first.startswith("failed_"):
            names.append(name)
    return list(dict.fromkeys(names))


def _words_of(name: str) -> str:
    if name.startswith("validation/"):
        return "of held-out examples"
    return "of held-out text" if name == "bits_per_byte" else "of the batch of each step"


def _chart(training: TrainingCurves, title: str, caption: str, names: Sequence[str], logarithmic: bool) -> LineChart | None:
    series = training.series
    lines = {name: [p for p in series.points(name) if p[1] > 0 or not logarithmic] for name in names[:MAX_LINES]}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return None
    values = [value for name, points in lines.items() for _, value in _shown(name, names[0], points)]
    x_axis = Axis(series.steps[0], series.steps[-1], START, WIDTH - END)
    low, high = _range(min(values), max(values), logarithmic)
    y_axis = Axis(low, high, HEIGHT - FOOT, TOP, logarithmic)
    hidden = len(names) - MAX_LINES
    return LineChart(
        title=title,
        caption=caption + (f"; {hidden} more figures are not shown" if hidden > 0 else ""),
        lines=tuple(_line(name, names[0], points, x_axis, y_axis) for name, points in lines.items()),
        x_ticks=tuple((x_axis.at(value), count(value)) for value in x_axis.ticks(6)),
        y_ticks=tuple((y_axis.at(value), count(value)) for value in y_axis.ticks(5)),
        marks=tuple(_marks(training, x_axis)) if title in ("Loss", "Gradient norm") else (),
        tips=tuple(_tips(lines, names[0], x_axis)),
    )


def _shown(name: str, family: str, points: Sequence[Point]) -> Sequence[Point]:
    """The points that a chart shows: of a kind of a figure with a smoothed line only the means."""
    return means(points, MEANS) if name != family and _is_smoothed(family, points) else points


def _marks(training: TrainingCurves, x_axis: Axis) -> Iterator[Mark]:
    for incident in training.incidents[:MAX_MARKS]:
        if x_axis.low <= incident.step <= x_axis.high:
            yield Mark(x_axis.at(incident.step), incident)


def _range(low: float, high: float, logarithmic: bool) -> tuple[float, float]:
    """The range of an axis: a little wider than the values; from 0 if the lowest value is near 0."""
    if logarithmic:
        return low / 1.1, high * 1.1
    if 0 <= low < 0.1 * high:
        return 0.0, high * 1.04
    margin = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _line(name: str, family: str, points: Sequence[Point], x_axis: Axis, y_axis: Axis) -> Line:
    def drawn(line: Sequence[Point]) -> str:
        return " ".join(f"{x_axis.at(step)},{y_axis.at(value)}" for step, value in line)

    smooth = drawn(means(points, MEANS)) if _is_smoothed(family, points) else ""
    exact = "" if smooth and name != family else drawn(downsampled(list(points), BUCKETS))
    return Line(_label(name, family), count(points[-1][1]), exact, smooth)


def _is_smoothed(family: str, points: Sequence[Point]) -> bool:
    return family in NOISY and len(points) >= SMOOTHED


def _label(name: str, family: str) -> str:
    return name.removeprefix(f"{family}/") if name != family else "all"


def means(points: Sequence[Point], buckets: int) -> list[Point]:
    """The mean step and value of each of `buckets` groups of consecutive points, which are equally large."""
    size = -(-len(points) // buckets)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (round(sum(step for step, _ in group) / len(group)), sum(value for _, value in group) / len(group)) for group in groups
    ]


def _tips(lines: dict[str, list[Point]], family: str, x_axis: Axis) -> Iterator[Tip]:
    """Areas that together cover the chart; each says the values of one step in its middle."""
    first, last = int(x_axis.low), int(x_axis.high)
    size = max(1, -(-(last - first + 1) // TIPS))
    known = {name: dict(points) for name, points in lines.items()}
    for start in range(first, last + 1, size):
        inside = [step for step in range(start, min(start + size, last + 1)) if any(step in values for values in known.values())]
        if inside:
            step = inside[len(inside) // 2]
            words = [
                f"{_label(name, family)} {count(values[step])}" if len(known) > 1 else count(values[step])
                for name, values in known.items()
                if step in values
            ]
            end = x_axis.at(min(start + size, last))
            yield Tip(x_axis.at(start), round(max(end - x_axis.at(start), 2.0), 1), f"step {step}: {', '.join(words)}")


def round_values(low: float, high: float, number: int) -> list[float]:
    """About `number` values from `low` to `high` at distances of 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    width = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [index * width for index in range(math.ceil(low / width - 1e-9), math.floor(high / width + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; with 2 and 5 between them if there are few."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if math.log10(high / low) < 2 else (1,)
    return [value for exponent in exponents for factor in factors if low <= (value := factor * 10.0**exponent) <= high]


def count(value: float) -> str:
    """A number in a few characters, such as 12.3k."""
    size = abs(value)
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.1e}".replace("e-0", "e-").replace(".0e", "e") if 0 < size < 1e-3 else f"{value:.4g}"
