"""Renders the deduplication curve as a plot and as one self-contained HTML page; equal curves give equal bytes."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER = {1: 0.222, 2: 0.467, 6: 0.557, 12: 0.699, 16: 0.757, 22: 0.763, 41: 0.816, 91: 0.898}
"""Removal rate by number of Common Crawl dumps that are deduplicated together (arXiv 2401.02954, table 1)."""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Removal by number of sources</title>
<style>
body { margin: 0; background: #f5f7fa; color: #1d2430; font: 15px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 900px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; }
section { background: #fff; border: 1px solid #e2e6ec; border-radius: 10px; padding: 14px 16px; margin: 20px 0; overflow: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid #e2e6ec; }
td.words, th.words { text-align: left; overflow-wrap: anywhere; }
img { display: block; width: 100%; height: auto; }
</style>
</head>
<body>
<main>
<h1>Removal by number of sources deduplicated together</h1>
<p>Of {{ "{:,}".format(last.documents) }} documents from {{ last.sources }} sources,
{{ "%.1f" | format(100 * last.removal_rate) }} % are removed if all sources are deduplicated together, and
{{ "%.1f" | format(100 * last.removal_rate_apart) }} % if each source is deduplicated separately.</p>
<section><img alt="Removal rate by number of sources" src="data:image/svg+xml;base64,{{ image }}"></section>
<section><table>
<tr><th>sources</th><th class="words">last source</th><th>documents</th><th>removed documents</th>
<th>share of documents</th><th>share of bytes</th><th>share of documents, each source separately</th></tr>
{% for point in points %}
<tr><td>{{ point.sources }}</td><td class="words">{{ point.last }}</td><td>{{ "{:,}".format(point.documents) }}</td>
<td>{{ "{:,}".format(point.removed_documents) }}</td>
{% for rate in (point.removal_rate, point.removal_rate_of_bytes, point.removal_rate_apart) %}
<td>{{ "%.2f" | format(100 * rate) }} %</td>
{% endfor %}
</tr>
{% endfor %}
</table></section>
</main>
</body>
</html>
"""


def write_page(points: Sequence[Mapping[str, Any]], output: Path) -> None:
    """Write `curve.png` and `curve.html` below `output` from the rows of the curve."""
    from jinja2 import Environment, StrictUndefined

    figure = _plot(points)
    (output / "curve.png").write_bytes(_drawn(figure, "png", {"Software": None}))
    image = base64.b64encode(_drawn(figure, "svg", {"Date": None, "Creator": None})).decode()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(PAGE).render(points=points, last=points[-1], image=image)
    (output / "curve.html").write_text(page + "\n", encoding="utf-8")


def _plot(points: Sequence[Mapping[str, Any]]) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter, ScalarFormatter

    figure = Figure(figsize=(7.5, 5.0), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(
        list(PAPER), list(PAPER.values()), "o--", color="tab:grey", markersize=3, linewidth=1, label="DeepSeek LLM, table 1"
    )
    sources = [point["sources"] for point in points]
    for name, label, colour in (
        ("removal_rate", "together, share of documents", "tab:blue"),
        ("removal_rate_of_bytes", "together, share of bytes", "tab:cyan"),
        ("removal_rate_apart", "separately, share of documents", "tab:orange"),
    ):
        axes.plot(sources, [point[name] for point in points], "o-", markersize=4, color=colour, label=label)
    axes.set(xscale="log", ylim=(0, 1), xlabel="sources deduplicated together", ylabel="share removed")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def _drawn(figure: "Figure", kind: str, metadata: Mapping[str, Any]) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    # A fixed salt makes the ids of SVG elements reproducible.
    with mpl.rc_context({"svg.hashsalt": "longrun"}):
        figure.savefig(buffer, format=kind, dpi=130, metadata=metadata)
    return buffer.getvalue()
