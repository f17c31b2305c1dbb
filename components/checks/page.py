"""Renders a check report as one self-contained HTML page that needs no network.

Great Expectations' own data docs are not used: they load scripts and styles from other hosts, contain the time of creation, and
fail to render the float64 of NumPy 2.
"""

from collections.abc import Mapping

from components.artifacts import CheckReport

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
td:last-child { overflow-wrap: anywhere }
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
<thead><tr><th>Outcome</th><th>Expectation</th><th>Observed</th></tr></thead>
<tbody>
{%- for expectation in ordered %}
{%- set outcome = "passed" if expectation.passed else "failed" if expectation.critical else "warning" %}
<tr><td class="{{ outcome }}">{{ outcome }}</td><td>{{ expectation.name }}</td><td>{{ expectation.observed }}</td></tr>
{%- endfor %}
</tbody>
</table>
</body>
</html>
"""


def render(report: CheckReport, rows: Mapping[str, int]) -> str:
    """The HTML of `report`, with failed expectations first, then warnings; `rows` is the number of rows of each table."""
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(TEMPLATE)
    warnings = sum(not e.passed and not e.critical for e in report.expectations)
    ordered = sorted(report.expectations, key=lambda e: (e.passed, not e.critical))
    return template.render(report=report, rows=rows, warnings=warnings, ordered=ordered) + "\n"
