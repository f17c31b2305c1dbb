"""The Jinja template of the HTML page. It is a Python string so that the code digest covers it."""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evaluation</title>
<style>
:root {
  color-scheme: light dark;
  --ink: #1d2430; --soft: #5b6575; --line: #e2e6ec; --card: #fff; --ground: #f5f7fa;
  --model: #2563c9; --baseline: #a9b3c1; --chance: #d1431f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e7ebf2; --soft: #9aa6b8; --line: #2c3543; --card: #1a212c; --ground: #12171f;
    --model: #6ea3f5; --baseline: #566275; --chance: #ff8560;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 4px; }
h3 { font-size: 15px; margin: 0; }
p { margin: 4px 0 14px; color: var(--soft); }
.tiles, .charts { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin: 18px 0; }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0; }
.card p { font-size: 13px; margin: 0 0 8px; }
.tile b { display: block; font-size: 26px; font-variant-numeric: tabular-nums; line-height: 1.2; }
.tile span { color: var(--soft); }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font-size: 16px; dominant-baseline: central; }
.model { fill: var(--model); }
.baseline { fill: var(--baseline); }
.chance { stroke: var(--chance); stroke-width: 2; stroke-dasharray: 4 3; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
tr:last-child td { border-bottom: 0; }
tr.aside td { color: var(--soft); }
pre {
  margin: 4px 0 12px; padding: 10px 12px; background: var(--ground); border-radius: 8px;
  white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, "Cascadia Mono", Menlo, monospace;
}
.who { font-size: 12px; font-weight: 600; color: var(--model); }
.user { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 12px 0; }
dt { font-weight: 600; }
dd { margin: 0; color: var(--soft); }
</style>
</head>
<body>
<main>
{% macro draw(chart) %}
<div class="card"><h3>{{ chart.title }}</h3><p>{{ chart.caption }}</p>
<svg viewBox="0 0 {{ chart.width }} {{ chart.height }}" role="img" aria-label="{{ chart.title }}">
{% for bar in chart.bars %}
{% set y = loop.index0 * chart.row %}
<text x="0" y="{{ y + chart.row / 2 }}">{{ bar.label }}</text>
{% set length = chart.length(bar.value) %}
<rect class="{{ bar.kind }}" rx="3" x="{{ chart.label_width }}" y="{{ y + 5 }}"
      width="{{ length }}" height="{{ chart.row - 10 }}"/>
<text x="{{ chart.figure_x }}" y="{{ y + chart.row / 2 }}">{{ bar.text }}</text>
{% endfor %}
{% if chart.chance is not none %}
{% set x = chart.label_width + chart.length(chart.chance) %}
<line class="chance" x1="{{ x }}" x2="{{ x }}" y1="0" y2="{{ chart.height }}"/>
{% endif %}
</svg></div>
{% endmacro %}
<h1>Evaluation</h1>
<p>
{{ models | join(", ") }} on held-out text, compared with two baselines on the same documents.
</p>

<h2>Bits per byte</h2>
<p>{{ definitions.bits_per_byte }} {{ definitions.aggregate }}</p>
<div class="tiles">
{% for model, value in findings.aggregate.items() %}
<div class="card tile"><span>{{ model }}</span><b>{{ "%.3f" | format(value) }}</b></div>
{% endfor %}
</div>
<div class="charts">
{% for chart in bits_charts %}
{{ draw(chart) }}
{% endfor %}
</div>
<div class="card scroll"><table>
<tr><th>model</th>{% for domain in findings.domains %}<th>{{ domain }}</th>{% endfor %}<th>aggregate</th></tr>
{% for model in findings.models %}
<tr{{ ' class=aside' if model in baselines else '' }}><td>{{ model }}</td>
{% for domain in findings.domains %}<td>{{ "%.3f" | format(findings.bits[model, domain]) }}</td>{% endfor %}
<td>{{ "%.3f" | format(findings.aggregate[model]) }}</td></tr>
{% endfor %}
<tr class="aside"><td>share</td>
{% for domain in findings.domains %}
<td>{{ "%.0f" | format(100 * findings.domain_shares.get(domain, 0)) }} %</td>
{% endfor %}
<td></td></tr>
</table></div>

<h2>Tasks</h2>
<p>Items are cut from held-out text, or come from public benchmarks and the recipe's own tasks. All models get the same items.</p>
<div class="charts">
{% for chart in task_charts %}
{{ draw(chart) }}
{% endfor %}
</div>

{% if findings.benchmarks %}
<h2>Benchmarks</h2>
<p>Clean: {{ definitions.clean }}</p>
<div class="card scroll"><table>
<tr><th>benchmark</th><th>metric</th><th>model</th>
<th>all items</th><th>clean items</th><th>chance</th><th>items</th><th>clean</th></tr>
{% for row in findings.benchmarks %}
<tr><td>{{ row.task }}</td><td>{{ row.metric }}</td><td>{{ row.model }}</td>
<td>{{ share(row.value) }}</td><td>{{ share(row.clean_value) }}</td><td>{{ share(row.chance) }}</td>
<td>{{ row.items }}</td><td>{{ row.clean_items }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{% if findings.contamination %}
<h2>Contamination</h2>
<p>Contaminated: {{ definitions.contaminated }}</p>
<div class="card scroll"><table>
<tr><th>benchmark</th><th>items</th><th>contaminated</th><th>not searched for</th><th>documents refused</th></tr>
{% for row in findings.contamination %}
<tr><td>{{ row.benchmark }}</td><td>{{ row.items }}</td><td>{{ row.contaminated }}</td><td>{{ row.not_searched }}</td>
<td>{{ row.documents }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{% if findings.omissions %}
<h2>Left out</h2>
<p>{{ definitions.left_out }}</p>
<div class="card scroll"><table>
<tr><th>source</th><th>items</th><th>reason</th><th>left out</th><th>share</th><th>first cases</th></tr>
{% for row in findings.omissions %}
<tr><td>{{ row.source }}</td><td>{{ row.unit }}</td><td>{{ row.reason }}</td><td>{{ row.count }} of {{ row.total }}</td>
<td>{{ share(row.share) }}</td><td>{{ row.cases | join("; ") }}</td></tr>
{% endfor %}
</table></div>
{% endif %}

<h2>Before and after alignment</h2>
<p>On held-out conversations and preference pairs, measured before and after fine-tuning.</p>
<div class="card scroll"><table>
<tr><th>measure</th><th>kind</th><th>before</th><th>after</th><th>95 % interval</th></tr>
{% for row in findings.alignment %}
<tr><td>{{ row.measure }}</td><td>{{ row.kind }}</td>
<td>{{ "%.4g" | format(row.before) }}</td><td>{{ "%.4g" | format(row.after) }}</td>
<td>{{ "%.4g" | format(row.after_low) }} to {{ "%.4g" | format(row.after_high) }}</td></tr>
{% endfor %}
</table></div>

<h2>Repetition</h2>
<p>{{ definitions.repetition_ratio }} {{ definitions.distinct_answers }}</p>
<div class="card scroll"><table>
<tr><th>model</th><th>repetition ratio</th><th>distinct answers</th><th>prompts</th></tr>
{% for row in findings.repetition %}
<tr><td>{{ row.model }}</td><td>{{ "%.1f" | format(100 * row.repetition_ratio) }} %</td>
<td>{{ "%.1f" | format(100 * row.distinct_answers) }} %</td><td>{{ row.prompts }}</td></tr>
{% endfor %}
</table></div>

<h2>Samples</h2>
<p>Greedy answers of the models, unedited.</p>
<div class="charts">
{% for prompt in prompts %}
<div class="card"><span class="who user">user</span><pre>{{ prompt }}</pre>
{% for sample in findings.samples if sample.prompt == prompt %}
<span class="who">{{ sample.model }}</span><pre>{{ sample.answer or "(nothing)" }}</pre>
{% endfor %}
</div>
{% endfor %}
</div>

<h2>What the figures mean</h2>
<dl>
{% for name, meaning in definitions.items() %}
<dt>{{ name }}</dt><dd>{{ meaning }}</dd>
{% endfor %}
</dl>
</main>
</body>
</html>
"""
