"""The Jinja template of a corpus's page. It is a Python string, so that the digest of the code covers it."""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Corpus {{ name }}</title>
<style>
:root {
  color-scheme: light dark;
  --ink: #1d2430; --soft: #5b6575; --line: #e2e6ec; --card: #fff; --ground: #f5f7fa;
  --kept: #2563c9; --lost: #d9a441; --gone: #fbd9d3; --new: #d3f0dc;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e7ebf2; --soft: #9aa6b8; --line: #2c3543; --card: #1a212c; --ground: #12171f;
    --kept: #6ea3f5; --lost: #b98a35; --gone: #5a2720; --new: #1e4a2c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 44px 0 4px; }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { margin: 4px 0 14px; color: var(--soft); }
nav { display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 14px 0; }
a { color: var(--kept); }
.tiles, .plots, .pair { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin: 14px 0; }
.plots { grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); }
.pair { grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); margin: 8px 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0; }
.card + .card { margin-top: 12px; }
.tiles .card + .card, .plots .card + .card { margin-top: 0; }
.card h3 { margin: 0; }
.card p { font-size: 13px; margin: 0 0 8px; }
.tile b { display: block; font-size: 24px; font-variant-numeric: tabular-nums; line-height: 1.25; }
.tile span, .who { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 13px; }
.kept { fill: var(--kept); } .lost { fill: var(--lost); } .axis { stroke: var(--line); }
.key i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin: 0 4px 0 12px; }
.key .k { background: var(--kept); margin-left: 0; } .key .l { background: var(--lost); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
th:first-child, td:first-child, td.words { text-align: left; overflow-wrap: anywhere; }
.counted td { white-space: nowrap; } .counted td:first-child, .counted td.words { white-space: normal; }
tr:last-child td { border-bottom: 0; }
.meter { background: var(--ground); border-radius: 3px; height: 8px; min-width: 90px; margin-top: 8px; overflow: hidden; }
.meter i { display: block; height: 8px; background: var(--kept); }
pre {
  margin: 4px 0 0; padding: 10px 12px; background: var(--ground); border-radius: 8px; max-height: 360px; overflow: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; font: 13px/1.5 ui-monospace, Menlo, monospace;
}
del { background: var(--gone); } ins { background: var(--new); text-decoration: none; }
details { margin: 10px 0; }
summary { cursor: pointer; font-weight: 600; }
summary span { color: var(--soft); font-weight: 400; }
</style>
</head>
<body>
<main>
{% macro counted(heading, shares, whole) %}
<h3>{{ heading }}</h3>
<div class="card scroll"><table class="counted">
<tr><th>{{ heading | lower }}</th><th>documents</th><th>bytes</th><th>kept documents</th><th>kept bytes</th>
<th>share kept</th><th>share of corpus</th><th>main reasons for removal</th></tr>
{% for share in shares %}
<tr><td>{{ share.name | shown }}</td><td>{{ "{:,}".format(share.documents) }}</td><td>{{ share.bytes | bytes }}</td>
<td>{{ "{:,}".format(share.kept_documents) }}</td><td>{{ share.kept_bytes | bytes }}</td>
<td>{{ share.kept_bytes | share(share.bytes) }}</td>
<td>{{ share.kept_bytes | share(whole) }}
<div class="meter"><i style="width: {{ (100 * share.kept_bytes / whole) | round(2) if whole else 0 }}%"></i></div></td>
<td class="words">{% for reason, count in share.reasons[:3] %}{{ reason | shown }} {{ "{:,}".format(count) }}
{{- ", " if not loop.last }}{% endfor %}</td></tr>
{% endfor %}
</table></div>
{% endmacro %}
{% macro listed(heading, rows, columns) %}
{% if rows %}
<h3>{{ heading }}</h3>
<div class="card scroll"><table>
<tr>{% for column in columns %}<th>{{ column | replace("_", " ") }}</th>{% endfor %}</tr>
{% for row in rows[:200] %}
<tr>{% for column in columns %}
{% set value = row[column] %}
<td>{{ (("%.4g" | format(value)) if value is float else "{:,}".format(value) if value is integer else value or "–")
  | shown }}</td>
{% endfor %}</tr>
{% endfor %}
</table>{% if rows | length > 200 %}<p>{{ rows | length - 200 }} more rows are in the corpus.</p>{% endif %}</div>
{% endif %}
{% endmacro %}
{% macro who(row) %}
<span class="who">{{ row.id[:12] }} · {{ row.domain | shown }} · {{ row.language | shown }}
{%- if row.quality is not none %} · quality {{ "%.3f" | format(row.quality) }}{% endif %}
{%- if row.similarity is not none %} · similarity {{ "%.3f" | format(row.similarity) }}{% endif %} · {{ row.uri | shown }}</span>
{% endmacro %}
{% macro compared(row) %}
<pre dir="auto">{% for span in differences(row.before, row.after) %}
{%- if span.kind == "removed" %}<del>{{ span.text | shown }}</del>
{%- elif span.kind == "new" %}<ins>{{ span.text | shown }}</ins>
{%- else %}{{ span.text | shown }}{% endif %}
{%- endfor %}</pre>
{% endmacro %}
{% macro sample(row) %}
<div class="card">{{ who(row) }}
{% if row.before and row.after %}{{ compared(row) }}
{% else %}<pre dir="auto">{{ (row.before or row.after) | shown or "(no text)" }}</pre>{% endif %}</div>
{% endmacro %}
{% set all = overview.total %}
{% set digest = overview.digest[:12] %}
<h1>Corpus {{ name }}</h1>
<p>{% if digest %}Evidence digest {{ digest }}. {% endif %}Sample documents are chosen by hash. Personal data in them is
replaced.</p>
<nav><a href="#counts">Counts</a><a href="#plots">Distributions</a><a href="#reasons">Reasons</a>
{% for heading, _, _ in steps %}<a href="#step-{{ loop.index }}">{{ heading }}</a>{% endfor %}
{% if overview.clusters %}<a href="#clusters">Clusters</a>{% endif %}</nav>

<h2 id="counts">Counts</h2>
<div class="tiles">
<div class="card tile"><span>documents read</span><b>{{ "{:,}".format(all.documents) }}</b></div>
<div class="card tile"><span>bytes read</span><b>{{ all.bytes | bytes }}</b></div>
<div class="card tile"><span>documents kept</span><b>{{ "{:,}".format(all.kept_documents) }}</b></div>
<div class="card tile"><span>bytes kept</span><b>{{ all.kept_bytes | bytes }}</b></div>
<div class="card tile"><span>share of bytes kept</span><b>{{ all.kept_bytes | share(all.bytes) }}</b></div>
</div>
{{ counted("Domain", overview.domains, all.kept_bytes) }}
{{ counted("Language", overview.languages, all.kept_bytes) }}
{{ counted("Source", overview.sources, all.kept_bytes) }}
{{ listed("Mixture", overview.tables.mixture, ["domain", "share", "epoch_limit"]) }}
{{ listed("Quality score", overview.tables.quality, ["language", "domain", "documents", "refused_documents", "refused_bytes",
  "auc", "reference_documents", "cut"]) }}
{{ listed("Personal data replaced", overview.tables.personal_data, ["source", "domain", "kind", "documents", "found"]) }}
{{ listed("Contamination", overview.tables.contamination, ["benchmark", "documents", "items"]) }}
{{ listed("Near-duplicate candidates", overview.tables.candidates, ["bands", "rows", "candidates", "similar",
  "precision_before_verification"]) }}
{{ listed("Removals measured again", overview.tables.precision, ["reason", "removals", "sampled", "similar", "precision", "low",
  "high"]) }}
{{ listed("Files set aside", overview.tables.set_aside, ["source", "path", "domain", "bytes", "error"]) }}

<h2 id="plots">Distributions</h2>
<p class="key"><i class="k"></i>kept<i class="l"></i>not kept</p>
<div class="plots">
{% for plot in plots %}
<div class="card"><h3>{{ plot.histogram.title }}</h3><p>{{ plot.histogram.caption }}</p>
<svg viewBox="0 0 {{ plot.width }} {{ plot.height + plot.foot }}" role="img" aria-label="{{ plot.histogram.title }}">
{% for bar in plot.bars %}
<g><title>{{ bar.title }}</title>
<rect class="kept" x="{{ bar.x }}" width="{{ bar.width }}" y="{{ (plot.height - bar.kept) | round(2) }}" height="{{ bar.kept }}"/>
<rect class="lost" x="{{ bar.x }}" width="{{ bar.width }}" y="{{ (plot.height - bar.kept - bar.removed) | round(2) }}"
      height="{{ bar.removed }}"/></g>
{% endfor %}
<line class="axis" x1="0" x2="{{ plot.width }}" y1="{{ plot.height }}" y2="{{ plot.height }}"/>
{% for x, label in plot.ticks %}
<text x="{{ x }}" y="{{ plot.height + plot.foot - 7 }}">{{ label }}</text>
{% endfor %}
</svg></div>
{% endfor %}
</div>

<h2 id="reasons">Reasons for removal</h2>
<p>Why documents are not in the corpus.</p>
<div class="card scroll"><table>
<tr><th>reason</th><th>documents</th><th>share of documents read</th><th>bytes</th></tr>
{% for reason, documents, bytes in overview.reasons %}
<tr><td>{{ reason | shown }}</td><td>{{ "{:,}".format(documents) }}</td><td>{{ documents | share(all.documents) }}</td>
<td>{{ bytes | bytes }}</td></tr>
{% else %}
<tr><td>No documents were refused or removed.</td></tr>
{% endfor %}
</table></div>
{% for heading, caption, reasons in steps %}
<h2 id="step-{{ loop.index }}">{{ heading }}</h2>
<p>{{ caption }}</p>
{% for reason, rows in reasons.items() %}
<details{{ " open" if loop.first }}><summary>{{ (reason or "changed") | shown }} <span>{{ rows | length }} shown</span></summary>
{% for row in rows %}{{ sample(row) }}{% endfor %}
</details>
{% endfor %}
{% endfor %}

{% if overview.clusters %}
<h2 id="clusters">Largest clusters of duplicates</h2>
<p>Each cluster shows its kept document, then removed documents compared with it.</p>
{% for cluster in overview.clusters %}
<details{{ " open" if loop.first }}><summary>{{ "{:,}".format(cluster.documents) }} similar to {{ cluster.kept[:12] }}
<span>{% for row in cluster.sources %}{{ row.source | shown }} ({{ row.domain | shown }}) {{ "{:,}".format(row.documents) }}
({{ "%.1f" | format(100 * row.share) }} %){{ ", " if not loop.last }}{% endfor %}</span></summary>
<pre dir="auto">{{ cluster.members[0].after | shown }}</pre>
{% for row in cluster.members %}{{ sample(row) }}{% endfor %}
</details>
{% endfor %}
{% endif %}
{% if overview.config %}
<h2>Configuration</h2>
<details><summary>Resolved configuration</summary><pre>{{ overview.config | shown }}</pre></details>
{% endif %}
</main>
</body>
</html>
"""
