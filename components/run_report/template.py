"""The Jinja template of the report of a run."""

STYLE = """\
:root {
  color-scheme: light dark;
  --ink: #1d2430; --soft: #5b6575; --line: #e2e6ec; --card: #fff; --ground: #f5f7fa;
  --good: #1a7f37; --bad: #c8321a; --warn: #8a5a00;
  --c1: #2563c9; --c2: #b4540a; --c3: #1a7f5a; --c4: #8b3fc4; --c5: #b02a63; --c6: #5f6b7a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e7ebf2; --soft: #9aa6b8; --line: #2c3543; --card: #1a212c; --ground: #12171f;
    --good: #4cc26b; --bad: #ff8560; --warn: #e0b050;
    --c1: #6ea3f5; --c2: #f0a35c; --c3: #55c79b; --c4: #c08df0; --c5: #f07fae; --c6: #9aa6b8;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 12px; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 44px 0 4px; }
h3 { font-size: 15px; margin: 0; }
p { margin: 4px 0 14px; color: var(--soft); }
a { color: var(--c1); }
:focus-visible { outline: 2px solid var(--c1); outline-offset: 2px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 16px 0 0; }
code { font: 13px/1.5 ui-monospace, "Cascadia Mono", Menlo, monospace; overflow-wrap: anywhere; }
.state { font-weight: 600; }
.passed, .finished { color: var(--good); } .failed, .interrupted, .refused { color: var(--bad); } .warning { color: var(--warn); }
.tiles { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin: 18px 0; }
.charts { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); margin: 14px 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0; }
.card.why { border-left: 4px solid var(--bad); margin: 18px 0; }
.card.noted { border-left: 4px solid var(--warn); margin: 18px 0; }
.card p { font-size: 13px; margin: 0 0 8px; }
.card ul { margin: 6px 0 0; padding-left: 20px; }
.tile b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; line-height: 1.25; overflow-wrap: anywhere; }
.tile span { color: var(--soft); font-size: 13px; }
.key { display: flex; flex-wrap: wrap; gap: 0 14px; font-size: 13px; color: var(--soft); margin: 0 0 6px; }
.key i { display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin-right: 6px; vertical-align: middle; }
.key b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
svg .y { text-anchor: end; dominant-baseline: central; } svg .x { text-anchor: middle; }
svg .grid { stroke: var(--line); } svg polyline { fill: none; stroke-linejoin: round; stroke-linecap: round; }
svg .exact { stroke-width: 1.5; } svg .exact.faint { stroke-width: 1; opacity: .35; } svg .smooth { stroke-width: 2.25; }
svg .tip { fill: transparent; } svg .tip:hover { fill: var(--ink); opacity: .07; }
svg .mark { fill: var(--bad); } svg .marked { stroke: var(--bad); stroke-dasharray: 3 3; opacity: .7; }
.s1 { stroke: var(--c1); background: var(--c1); } .s2 { stroke: var(--c2); background: var(--c2); }
.s3 { stroke: var(--c3); background: var(--c3); } .s4 { stroke: var(--c4); background: var(--c4); }
.s5 { stroke: var(--c5); background: var(--c5); } .s6 { stroke: var(--c6); background: var(--c6); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, .words { text-align: left; }
td.words { white-space: normal; overflow-wrap: anywhere; min-width: 140px; }
tr:last-child td { border-bottom: 0; }
tr.aside td { color: var(--soft); }
.meter { background: var(--ground); border-radius: 3px; height: 8px; min-width: 90px; margin-top: 8px; overflow: hidden; }
.meter i { display: block; height: 8px; background: var(--c1); }
.meter i.reused { background: var(--c6); opacity: .6; }
details { margin: 10px 0; }
summary { cursor: pointer; font-weight: 600; }
summary span { color: var(--soft); font-weight: 400; }
@media (max-width: 560px) { svg text { font-size: 19px; } main { padding: 20px 14px 48px; } th, td { padding: 6px; } }
.incident { margin-top: 10px; }
.incident:target { outline: 2px solid var(--bad); }
"""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{{ report.recipe }} {{ report.run }}: {{ report.state }}</title>
<style>
{{ style }}</style>
</head>
<body>
<main>
{% macro draw(chart, anchor) %}
<div class="card"><h3>{{ chart.title }}</h3><p>{{ chart.caption }}</p>
<div class="key">
{% for line in chart.lines %}
<span><i class="s{{ loop.index }}"></i>{{ line.label if chart.lines | length > 1 else "last" }} <b>{{ line.last }}</b></span>
{% endfor %}
</div>
<svg viewBox="0 0 {{ chart.width }} {{ chart.height }}" role="img"
     aria-label="{{ chart.title }} by step; last: {% for line in chart.lines %}{{ line.label }} {{ line.last }} {% endfor %}">
{% for y, label in chart.y_ticks %}
<line class="grid" x1="{{ chart.start }}" x2="{{ chart.end }}" y1="{{ y }}" y2="{{ y }}"/>
<text class="y" x="{{ chart.start - 8 }}" y="{{ y }}">{{ label }}</text>
{% endfor %}
{% for x, label in chart.x_ticks %}
<text class="x" x="{{ x }}" y="{{ chart.height - 6 }}">{{ label }}</text>
{% endfor %}
{% for line in chart.lines %}{% if line.exact %}
<polyline class="exact s{{ loop.index }}{{ ' faint' if line.smooth }}" points="{{ line.exact }}"/>
{% endif %}{% endfor %}
{% for line in chart.lines %}{% if line.smooth %}
<polyline class="smooth s{{ loop.index }}" points="{{ line.smooth }}"/>
{% endif %}{% endfor %}
{% for tip in chart.tips %}
<rect class="tip" x="{{ tip.x }}" width="{{ tip.width }}" y="{{ chart.top }}" height="{{ chart.bottom - chart.top }}">
<title>{{ tip.text }}</title></rect>
{% endfor %}
{% for mark in chart.marks %}
<a href="#{{ anchor }}-{{ mark.incident.step }}"><title>step {{ mark.incident.step }}: {{ mark.incident.reason }}</title>
<line class="marked" x1="{{ mark.x }}" x2="{{ mark.x }}" y1="{{ chart.top }}" y2="{{ chart.bottom }}"/>
<path class="mark" d="M{{ mark.x - 5 }} 2h10l-5 9z"/></a>
{% endfor %}
</svg></div>
{% endmacro %}
<h1>{{ report.recipe }} <span class="state {{ report.state }}">{{ report.state }}</span></h1>
<p>Run {{ report.run }}, started {{ report.started }} UTC.</p>
{% if report.failure %}
<div class="card why"><h3>Why it {{ "stopped" if report.state == "interrupted" else report.state }}</h3>
<p>{{ report.failure }}</p>
<p>Events and logs: <code>longrun logs {{ report.run }}</code></p></div>
{% endif %}
<div class="tiles">
{% for caption, value in report.figures.items() %}
<div class="card tile"><span>{{ caption }}</span><b>{{ value }}</b></div>
{% endfor %}
</div>
{% if report.changes %}
<p>Set on the command line: {% for change in report.changes %}<code>{{ change }}</code>{{ ", " if not loop.last }}{% endfor %}</p>
{% endif %}
<nav>
{% for title, _, training in trainings %}<a href="#{{ training.step }}">{{ title }}</a>{% endfor %}
{% if report.seen %}<a href="#data">Data</a>{% endif %}
{% if report.checks %}<a href="#checks">Checks</a>{% endif %}
{% if report.findings %}<a href="#evaluation">Evaluation</a>{% endif %}
{% if report.times %}<a href="#times">Time and memory</a>{% endif %}
</nav>
{% if report.warnings %}
<div class="card noted"><h3>Warnings</h3>
<ul>{% for step, warning in report.warnings %}<li>{{ step }}: {{ warning }}</li>{% endfor %}</ul></div>
{% endif %}
{% if report.notes %}
<details><summary>Notes <span>{{ report.notes | length }}</span></summary>
<div class="card"><ul>{% for step, note in report.notes %}<li>{{ step }}: {{ note }}</li>{% endfor %}</ul></div></details>
{% endif %}
{% for title, charts, training in trainings %}
<h2 id="{{ training.step }}">{{ title }}</h2>
<p>{{ "{:,}".format(training.series.steps[-1]) }} steps
{%- if training.state == "cached" %}, trained by an earlier run whose result was reused{% endif %}
{%- if training.state == "running" %} so far{% endif %}
{%- if training.state == "failed" %} before it stopped{% endif %}.
{% if charts[0].lines[0].smooth %}Thin lines show every step, thick lines the mean of neighbouring steps.{% endif %}
{% if training.incidents %}
Red marks are steps with a loss spike, or with a loss or gradient that is not finite.
{% endif %}</p>
<div class="charts">
{% for chart in charts %}
{{ draw(chart, training.step) }}
{% endfor %}
</div>
{% if training.incidents %}
<details open><summary>Spikes and steps that are not finite <span>{{ training.incidents | length }}</span></summary>
{% for incident in training.incidents[:max_marks] %}
<div class="card incident" id="{{ training.step }}-{{ incident.step }}">
<h3>Step {{ incident.step }}</h3><p>{{ incident.reason }}</p>
{% if incident.documents %}
{% if training.step == "pretraining" %}
<p>Its documents, also shown by <code>longrun batch {{ report.run }} {{ incident.step }}</code></p>
{% endif %}
<div class="scroll"><table>
<tr><th>{{ "domain" if training.step == "pretraining" else "kind" }}</th><th class="words">documents of a sequence</th></tr>
{% for domain, ids in incident.documents[:max_sequences] %}
<tr><td>{{ domain }}</td><td class="words"><code>{{ ids | join(" ") }}</code></td></tr>
{% endfor %}
</table></div>
{% if incident.documents | length > max_sequences %}
<p>{{ incident.documents | length - max_sequences }} more sequences.</p>
{% endif %}
{% endif %}
</div>
{% endfor %}
{% if training.incidents | length > max_marks %}
<p>{{ training.incidents | length - max_marks }} more are not shown.</p>
{% endif %}
</details>
{% endif %}
{% endfor %}

{% if report.seen %}
<h2 id="data">Data</h2>
<p>Training tokens that pretraining saw, repetitions included. Within a domain, and within a language that has its own share of
the mixture, they are divided among sources and languages by bytes of the corpus.</p>
<div class="charts">
{% for heading, rows in seen %}
<div class="card scroll"><h3>By {{ heading }}</h3><table>
<tr><th>{{ heading }}</th><th>tokens seen</th><th>share</th><th>bytes of the corpus</th></tr>
{% for name, tokens, share, bytes in rows %}
<tr><td class="words">{{ name }}<div class="meter"><i style="width: {{ (100 * share) | round(2) }}%"></i></div></td>
<td>{{ tokens | count }}</td><td>{{ "%.1f" | format(100 * share) }} %</td><td>{{ bytes | count }}</td></tr>
{% endfor %}
</table></div>
{% endfor %}
</div>
{% endif %}

{% if report.checks %}
<h2 id="checks">Checks</h2>
<p>Expectations on the data and the trainings. A failed check stops the run; a warning does not.</p>
<div class="card scroll"><table>
<tr><th>check</th><th class="words">outcome</th><th>expectations</th><th class="words">not met</th></tr>
{% for name, check in report.checks %}
{% set unmet = check.expectations | rejectattr("passed") | list %}
{% set outcome = "failed" if not check.passed else "warning" if unmet else "passed" %}
<tr><td>{{ name }}</td><td class="words state {{ outcome }}">{{ outcome }}</td><td>{{ check.expectations | length }}</td>
<td class="words">
{%- for row in unmet %}{{ row.name }}: {{ row.observed }}{{ "; " if not loop.last }}{% else %}–{% endfor %}</td></tr>
{% endfor %}
</table></div>
{% endif %}

{% if report.findings %}
{% set findings = report.findings %}
<h2 id="evaluation">Evaluation</h2>
<p>Bits per byte of held-out text, lower is better; the aggregate weights domains by their shares.</p>
<div class="card scroll"><table>
<tr><th>model</th>{% for domain in findings.domains %}<th>{{ domain }}</th>{% endfor %}<th>aggregate</th></tr>
{% for model in findings.models %}
<tr{{ ' class=aside' if model in baselines }}><td>{{ model }}</td>
{% for domain in findings.domains %}<td>{{ "%.3f" | format(findings.bits[model, domain]) }}</td>{% endfor %}
<td>{{ "%.3f" | format(findings.aggregate[model]) }}</td></tr>
{% endfor %}
</table></div>
{% if findings.tasks %}
<p></p>
<div class="card scroll"><table>
<tr><th>task</th><th class="words">metric</th><th>items</th>{% for model in task_models %}<th>{{ model }}</th>
{% endfor %}<th>chance</th></tr>
{% for row, values in tasks %}
<tr><td>{{ row.task }}</td><td class="words">{{ row.metric }}</td><td>{{ row.items }}</td>
{% for model in task_models %}<td>{{ "%.1f %%" | format(100 * values[model]) if model in values else "–" }}</td>{% endfor %}
<td>{{ "%.1f %%" | format(100 * row.chance) }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{% if alignment %}
<p></p>
<div class="card scroll"><table>
<tr><th>before and after alignment</th><th class="words">kind</th><th>before</th><th>after</th><th>95 % interval</th></tr>
{% for row in alignment %}
<tr><td>{{ row.measure | replace("_", " ") }}</td><td class="words">{{ row.kind }}</td>
<td>{{ "%.4g" | format(row.before) }}</td>
<td>{{ "%.4g" | format(row.after) }}</td>
<td>{{ "%.4g" | format(row.after_low) }} to {{ "%.4g" | format(row.after_high) }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{% endif %}

{% if report.times %}
<h2 id="times">Time and memory</h2>
<p>Time of each step in this run; of a reused step, the time of the run that made it, which this run saved. Memory is the
peak of private memory of all processes of the step on its machine.</p>
<div class="card scroll"><table>
<tr><th>step</th><th class="words">state</th><th>time</th><th class="words">share of the longest</th><th>memory</th></tr>
{% for row in report.times %}
{% set seconds = row.seconds if row.seconds is not none else row.when_made or 0 %}
<tr><td>{{ row.step }}</td><td class="words state {{ row.state }}">{{ "reused" if row.state == "cached" else row.state }}</td>
<td>{{ "%.1f s" | format(seconds) if seconds else "–" }}</td>
<td><div class="meter"><i{{ ' class=reused' if row.seconds is none }} style="width: {{
  (100 * seconds / longest) | round(2) if longest else 0 }}%"></i></div></td>
<td>{{ (row.memory_bytes | count) ~ "B" if row.memory_bytes is not none else "–" }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
</main>
</body>
</html>
"""
