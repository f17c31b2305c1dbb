"""Writes a fit as one self-contained HTML page, and its plots as PNG files next to it."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from components.files import JSON
from components.scaling.fitting.fit import Fit
from components.scaling.fitting.plots import plots, png, svg

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Scaling laws of {{ title }}</title>
<style>
body { margin: 0; background: #f5f7fa; color: #1d2430; font: 15px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 900px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; } h2 { font-size: 19px; margin-top: 36px; }
section { background: #fff; border: 1px solid #e2e6ec; border-radius: 10px; padding: 14px 16px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid #e2e6ec; }
th:first-child, td:first-child, td.words { text-align: left; }
img { display: block; width: 100%; height: auto; }
</style>
</head>
<body>
<main>
<h1>Scaling laws of {{ title }}</h1>
<p>{{ fit.runs }} runs, {{ fit.config.rounds }} bootstrap rounds, 95 % intervals. n counts {{ fit.config.scale }}.</p>
{% if fit.get("optima") %}
<h2>The best model of each vocabulary, by FLOPs with the head</h2>
<section><table>
<tr><th>FLOPs</th><th>vocabulary</th><th>d_model</th><th>tokens</th><th>bits per byte</th></tr>
{% for row in fit.optima %}
<tr><td>{{ "%.3g" | format(row.compute) }}</td><td>{{ row.vocab_size }}</td><td>{{ row.width }}</td>
<td>{{ "%.3g" | format(row.tokens) }}</td><td>{{ "%.4f" | format(row.bits_per_byte) }}</td></tr>
{% endfor %}
</table></section>
{% endif %}
{% for heading, image in images[:first] %}
<h2>{{ heading }}</h2>
<section><img alt="{{ heading }}" src="data:image/svg+xml;base64,{{ image }}"></section>
{% endfor %}
{% for name, heading in headings.items() if fit.get(name) %}
<h2>{{ heading }}</h2>
<section><table>
<tr><th></th><th>value</th><th>low</th><th>high</th></tr>
{% for key, value in fit[name].items() if value is mapping %}
<tr><td>{{ key }}</td>{% for end in ("value", "low", "high") %}<td>{{ "%.5g" | format(value[end]) }}</td>{% endfor %}</tr>
{% endfor %}
</table></section>
{% endfor %}
{% for heading, image in images[first:] %}
<h2>{{ heading }}</h2>
<section><img alt="{{ heading }}" src="data:image/svg+xml;base64,{{ image }}"></section>
{% endfor %}
{% if fit.refused %}
<h2>What was not fitted</h2>
<section><table>
{% for name, reason in fit.refused.items() %}<tr><td>{{ name }}</td><td class="words">{{ reason }}</td></tr>{% endfor %}
</table></section>
{% endif %}
{% if fit.left_out %}
<h2>What was left out</h2>
<section><table>
{% for entry in fit.left_out %}
<tr><td>{{ entry.method }}</td>
<td>{% if entry.row %}line {{ entry.row }}{% else %}{{ "%.3g" | format(entry.compute) }} FLOPs{% endif %}</td>
<td class="words">{{ entry.reason }}</td></tr>
{% endfor %}
</table></section>
{% endif %}
</main>
</body>
</html>
"""

HEADINGS = {
    "isoflop": "IsoFLOP profiles",
    "parametric": "Parametric fit: L = E + A / n^alpha + B / d^beta",
    "parametric_with_all_runs": "Parametric fit of all runs, without exclusions",
    "hyper_parameters": "Hyper-parameters",
}
"""Headings of the page's tables, by the key of the table in `fit.json`."""


def write_report(fit: Fit, *, title: str, output: Path, more: Mapping[str, Figure] | None = None) -> None:
    """Write `report.html`, `fit.json` and a PNG for each plot into the directory `output`, which is created if it does not exist.

    `more` are further plots, by heading. The page shows them first; they are not written as PNG.
    """
    write_page(fit.as_json(), title=title, headings=HEADINGS, figures=list(plots(fit)), output=output, more=more)


def write_page(
    values: Mapping[str, JSON],
    *,
    title: str,
    headings: Mapping[str, str],
    figures: Sequence[tuple[str, str, Figure]],
    output: Path,
    more: Mapping[str, Figure] | None = None,
) -> None:
    """Write the page for the values of any fit.

    Args:
        values: what `fit.json` contains.
        title: what the laws are about.
        headings: heading of each table of estimates, by its key in `values`.
        figures: (file name without suffix, heading, plot) of each plot.
        output: the directory to write to.
        more: further plots, by heading; the page shows them first.
    """
    output.mkdir(parents=True, exist_ok=True)
    images = [(heading, base64.b64encode(svg(figure)).decode()) for heading, figure in (more or {}).items()]
    for name, heading, figure in figures:
        (output / f"{name}.png").write_bytes(png(figure))
        images.append((heading, base64.b64encode(svg(figure)).decode()))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(PAGE).render(title=title, fit=values, headings=headings, images=images, first=len(more or {}))
    (output / "report.html").write_text(page, encoding="utf-8")
    (output / "fit.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
