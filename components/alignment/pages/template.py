"""The Jinja template of the page about conversations or preference pairs."""

STYLE = """\
:root {
  color-scheme: light dark;
  --ink: #1d2430; --soft: #5b6575; --line: #e2e6ec; --card: #fff; --ground: #f5f7fa;
  --bar: #2563c9; --good: #1a7f37; --bad: #b3261e; --new: #d7f2df; --gone: #fbdedb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e7ebf2; --soft: #9aa6b8; --line: #2c3543; --card: #1a212c; --ground: #12171f;
    --bar: #6ea3f5; --good: #4cc26b; --bad: #ff8a7a; --new: #173d25; --gone: #4a201d;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 44px 0 4px; }
h3 { font-size: 15px; margin: 0 0 8px; }
p { margin: 4px 0 14px; color: var(--soft); }
.charts { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0; }
.card + .card { margin-top: 14px; } .charts .card { margin: 0; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 3px 10px; font-size: 13px; align-items: center; }
.bars span { color: var(--soft); text-align: right; font-variant-numeric: tabular-nums; }
.bars progress { width: 100%; height: 12px; appearance: none; border: 0; border-radius: 3px; background: none; }
.bars progress::-webkit-progress-bar { background: none; }
.bars progress::-webkit-progress-value { background: var(--bar); border-radius: 3px; }
.bars progress::-moz-progress-bar { background: var(--bar); border-radius: 3px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, .words { text-align: left; }
td.words { white-space: normal; overflow-wrap: anywhere; min-width: 160px; }
tr:last-child td { border-bottom: 0; }
pre { margin: 2px 0 12px; white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.5 ui-monospace, Menlo, monospace; }
.pair { display: grid; gap: 0 20px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); }
.who { font-size: 12px; font-weight: 600; color: var(--soft); }
.who.chosen { color: var(--good); } .who.rejected { color: var(--bad); }
del { background: var(--gone); text-decoration: none; } ins { background: var(--new); text-decoration: none; }
"""

PAGE = (
    """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ overview.unit }} {{ name }}</title>
<style>
"""
    + STYLE
    + """\
</style>
</head>
<body>
<main>
<h1>{{ overview.unit | capitalize }} {{ name }}</h1>
<p>{{ overview.total | number }} {{ overview.unit }} in {{ overview.groups | number }} groups.
All items of a group are in the same split.</p>

<h2>Counts</h2>
<div class="card scroll"><table>
<tr><th>split</th><th class="words">{{ "kind" if overview.answers else "task" }}</th><th>{{ overview.unit }}</th></tr>
{% for split, kind, count in overview.counts %}
<tr><td>{{ split }}</td><td class="words">{{ kind }}</td><td>{{ count | number }}</td></tr>
{% endfor %}
</table></div>

<h2>Left out</h2>
{% if overview.omissions.rows %}
<p>What could not be used, by source and reason, with the first cases. Checks limit the share (max_omitted_share).</p>
<div class="card scroll"><table>
<tr><th>source</th><th>left out</th><th>share</th><th class="words">reason</th><th class="words">first cases</th>
<th class="words">decided by</th></tr>
{% for row in overview.omissions.rows %}
<tr><td>{{ row.source | shown }}</td><td>{{ row.count | number }} of {{ row.total | number }} {{ row.unit }}</td>
<td>{{ row.share | share }}</td><td class="words">{{ row.reason }}</td>
<td class="words">{% for case in row.cases %}{{ case | string | shown }}{{ "; " if not loop.last }}{% endfor %}</td>
<td class="words">{{ row.setting or "the items themselves" }}</td></tr>
{% endfor %}
</table></div>
{% else %}
<p>Nothing was left out.</p>
{% endif %}

<h2>Lengths</h2>
<p>In characters. Each bin is twice as wide as the one before.</p>
<div class="charts">
{% for bins in overview.lengths %}
<div class="card"><h3>{{ bins.title }}</h3>
<p>Median {{ bins.median | number }}, longest {{ bins.longest | number }}.</p>
<div class="bars">
{% for label in bins.labels %}
<span>{{ label }}</span><progress value="{{ bins.counts[loop.index0] }}" max="{{ bins.counts | max }}"></progress>
<span>{{ bins.counts[loop.index0] | number }}</span>
{% endfor %}
</div></div>
{% endfor %}
{% if overview.turns %}
<div class="card"><h3>Questions in a conversation</h3>
<p>Each is followed by an answer.</p>
<div class="bars">
{% for turns, count in overview.turns %}
<span>{{ turns }}</span><progress value="{{ count }}" max="{{ overview.turns | map(attribute=1) | max }}"></progress>
<span>{{ count | number }}</span>
{% endfor %}
</div></div>
{% endif %}
</div>
{% if overview.answers %}

<h2>Chosen against rejected</h2>
<p>If the chosen answers are mostly longer, or mostly shorter, DPO learns length.</p>
<div class="card scroll"><table>
<tr><th>kind</th><th>pairs</th><th>median characters chosen</th><th>rejected</th><th>chosen is longer</th></tr>
{% for row in overview.answers %}
<tr><td>{{ row.kind }}</td><td>{{ row.pairs | number }}</td><td>{{ row.chosen_characters | number }}</td>
<td>{{ row.rejected_characters | number }}</td><td>{{ row.chosen_longer | share }}</td></tr>
{% endfor %}
</table></div>
{% endif %}

<h2>Samples</h2>
{% if overview.pairs %}
<p>Words only in the chosen answer are green, words only in the rejected answer are red.</p>
{% endif %}
{% for sample in overview.conversations %}
<div class="card"><p>{{ sample.task }} · {{ sample.uri | shown }} · {{ sample.licence | shown }}</p>
{% for message in sample.messages %}
<span class="who">{{ message.role }}</span><pre>{{ message.content | shown }}</pre>
{% endfor %}
</div>
{% endfor %}
{% for sample in overview.pairs %}
{% set spans = differences(sample.rejected, sample.chosen) %}
<div class="card"><p>{{ sample.kind }} · {{ (sample.uri or sample.source) | shown }}</p>
<span class="who">user</span><pre>{{ sample.prompt | shown }}</pre>
<div class="pair">
<div><span class="who chosen">chosen</span><pre>
{%- for span in spans if span.kind != "removed" -%}
{% if span.kind == "new" %}<ins>{{ span.text | shown }}</ins>{% else %}{{ span.text | shown }}{% endif %}
{%- endfor -%}
</pre></div>
<div><span class="who rejected">rejected</span><pre>
{%- for span in spans if span.kind != "new" -%}
{% if span.kind == "removed" %}<del>{{ span.text | shown }}</del>{% else %}{{ span.text | shown }}{% endif %}
{%- endfor -%}
</pre></div>
</div></div>
{% endfor %}
{% if config %}

<h2>Configuration</h2>
<div class="card"><pre>{{ config | shown }}</pre></div>
{% endif %}
</main>
</body>
</html>
"""
)
