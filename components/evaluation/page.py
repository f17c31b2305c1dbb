"""Renders the report as a self-contained HTML page: styles and charts are embedded, no scripts or fonts are loaded."""

from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined

from components.artifacts import BASELINES, Findings
from components.evaluation.findings import share
from components.evaluation.template import PAGE

_LABEL, _WIDTH, _ROW = 120, 460, 30
"""Width of the labels, maximum width of a bar, and height of a row, in SVG units."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart."""

    label: str
    value: float
    text: str
    kind: str
    """"model" or "baseline"; determines the colour."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of horizontal bars from zero, optionally with a line at the level of chance."""

    title: str
    caption: str
    bars: tuple[Bar, ...]
    full: float
    """The value of a bar with maximum width."""
    chance: float | None = None

    label_width: int = _LABEL
    row: int = _ROW

    @property
    def width(self) -> int:
        """Width of the whole chart in SVG units, including the column of values."""
        return _LABEL + _WIDTH + 70

    @property
    def figure_x(self) -> int:
        """Left edge of the column of values, to the right of all bars."""
        return _LABEL + _WIDTH + 8

    @property
    def height(self) -> int:
        """Height of the whole chart in SVG units."""
        return _ROW * len(self.bars)

    def length(self, value: float) -> float:
        """Length of a bar in SVG units, rounded so that equal reports have equal bytes on every machine."""
        return round(_WIDTH * value / self.full, 2) if self.full else 0.0


def render(findings: Findings) -> str:
    """The HTML page. All text from models and documents is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(PAGE).render(
        findings=findings,
        models=[model for model in findings.models if model not in BASELINES],
        baselines=BASELINES,
        definitions=findings.definitions,
        bits_charts=_bits_charts(findings),
        task_charts=_task_charts(findings),
        share=share,
        prompts=list(dict.fromkeys(sample.prompt for sample in findings.samples)),
    )


def _bits_charts(findings: Findings) -> list[Chart]:
    full = max(row.bits_per_byte for row in findings.bits_per_byte)
    charts = []
    for domain in findings.domains:
        rows = [row for row in findings.bits_per_byte if row.domain == domain]
        bars = tuple(
            Bar(row.model, row.bits_per_byte, f"{row.bits_per_byte:.3f}", "baseline" if row.model in BASELINES else "model")
            for row in sorted(rows, key=lambda row: (row.bits_per_byte, row.model))
        )
        caption = f"{rows[0].documents:,} documents, {rows[0].bytes:,} bytes"
        charts.append(Chart(title=domain, caption=caption, bars=bars, full=full))
    return charts


def _task_charts(findings: Findings) -> list[Chart]:
    """One chart per task, of its headline metric (any metric but acc)."""
    charts = []
    for task in dict.fromkeys(row.task for row in findings.tasks):
        rows = [row for row in findings.tasks if row.task == task and row.metric != "acc"]
        bars = tuple(Bar(row.model, row.value, f"{row.value:.1%}", "model") for row in rows)
        known = findings.definitions.get(task, "A public benchmark, all items." if rows[0].is_benchmark else "")
        caption = f"{known} {rows[0].metric}, {rows[0].items:,} items; the line marks chance, {rows[0].chance:.1%}."
        charts.append(Chart(title=task, caption=caption.strip(), bars=bars, full=1.0, chance=rows[0].chance))
    return charts
