"""Renders a check report as one self-contained HTML page that needs no network.

Great Expectations' own data docs are not used: they load scripts and styles from other hosts, contain the time of creation, and
fail to render the float64 of NumPy 2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.artifacts import CheckReport
from components.checks.distribution import Bin

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ report.name }}: {{ "passed" if report.passed else "failed" }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1f2328 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem; border-bottom: 1px solid #d1d9e0 }
td:nth-child(3) { overflow-wrap: anywhere }
svg { display: block } rect { fill: #0969da } line { stroke: #d1242f; stroke-dasharray: 3 2 }
.ends { display: flex; justify-content: space-between; width: 240px; font-size: .75em; color: #59636e }
.passed { color: #1a7f37 } .failed { color: #d1242f; font-weight: 600 } .warning { color: #9a6700; font-weight: 600 }
</style>
</head>
<body>
<h1>Check of {{ report.name }}: <span class="{{ 'passed' if report.passed else 'failed' }}">
{{- "passed" if report.passed else "failed" }}</span></h1>
<p>{{ report.expectations | length }} expectations: {{ report.failures | length }} failed, {{ warnings }} warnings.
Rows checked: {% for table, rows in rows.items() %}{{ table }} {{ "{:,}".format(rows) }}
{{- ", " if not loop.last else "." }} {% endfor %}</p>
<table>
<thead><tr><th>Outcome</th><th>Expectation</th><th>Observed</th><th>Distribution</th></tr></thead>
<tbody>
{%- for expectation, chart in ordered %}
{%- set outcome = "passed" if expectation.passed else "failed" if expectation.critical else "warning" %}
<tr><td class="{{ outcome }}">{{ outcome }}</td><td>{{ expectation.name }}
{%- if expectation.field %}<br><code>{{ expectation.field }}</code>{% endif %}</td><td>{{ expectation.observed }}</td>
<td>{% if chart.shapes %}<svg viewBox="0 0 240 60" width="240" height="60" role="img" aria-label="Distribution">
{%- for shape in chart.shapes %}<rect x="{{ shape.x }}" y="{{ shape.y }}" width="{{ shape.width }}" height="{{ shape.height }}">
{#- #}<title>{{ shape.title }}</title></rect>{% endfor %}
{%- for x in chart.lines %}<line x1="{{ x }}" x2="{{ x }}" y1="0" y2="60"><title>limit</title></line>{% endfor %}</svg>
<div class="ends"><span>{{ chart.ends[0] }}</span><span>{{ chart.ends[1] }}</span></div>{% endif %}</td></tr>
{%- endfor %}
</tbody>
</table>
</body>
</html>
"""


WIDTH, HEIGHT = 240, 60
"""Size of a chart in pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A bar as a rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueChart:
    """The distribution behind an expectation."""

    bars: Sequence[Bin]
    limits: Sequence[float]
    """Limits of the expectation; those beyond the values are not drawn."""

    @property
    def shapes(self) -> list[Shape]:
        """The bars as rectangles, as high as their share of the highest one; none for a single bar, which shows nothing."""
        if len(self.bars) < 2:
            return []
        highest, width = max((bar.rows for bar in self.bars), default=0), WIDTH / max(len(self.bars), 1)
        heights = [HEIGHT * bar.rows / highest if highest else 0.0 for bar in self.bars]
        return [
            Shape(
                x=round(number * width, 2),
                y=round(HEIGHT - height, 2),
                width=round(width * 0.9, 2),
                height=round(height, 2),
                title=f"{bar.label}: {bar.rows:,} rows",
            )
            for number, (bar, height) in enumerate(zip(self.bars, heights, strict=True))
        ]

    @property
    def ends(self) -> tuple[str, str]:
        """The lowest and the highest value, as text."""
        first, last = self.bars[0], self.bars[-1]
        low = first.label if first.low is None else f"{first.low:,.6g}"
        return low, last.label if last.high is None else f"{last.high:,.6g}"

    @property
    def lines(self) -> list[float]:
        """Positions of the limits that are between the lowest and the highest value, in pixels."""
        ends = [(bar.low, bar.high) for bar in self.bars if bar.low is not None and bar.high is not None]
        width = WIDTH / max(len(ends), 1)
        return [
            round(width * (number + (limit - low) / (high - low)), 2)
            for limit in self.limits
            for number, (low, high) in enumerate(ends)
            if low < high and low <= limit < high
        ]


def render(report: CheckReport, rows: Mapping[str, int], charts: Sequence[ValueChart]) -> str:
    """The HTML of `report`, with failed expectations first, then warnings.

    `rows` is the number of rows of each table, and `charts` has a chart for each expectation of the report.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(TEMPLATE)
    warnings = sum(not e.passed and not e.critical for e in report.expectations)
    pairs = zip(report.expectations, charts, strict=True)
    ordered = sorted(pairs, key=lambda pair: (pair[0].passed, not pair[0].critical))
    return template.render(report=report, rows=rows, warnings=warnings, ordered=ordered) + "\n"
