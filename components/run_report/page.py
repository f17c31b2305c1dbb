"""Renders the report of a run as one HTML page that needs no network: styles and charts are inline, there are no scripts.

Texts are escaped, and the page's content security policy forbids scripts and every request.
"""

from collections.abc import Callable, Sequence

from jinja2 import Environment, StrictUndefined

from components.artifacts import BASELINES, Change, Findings, TaskResult
from components.run_report.charts import MAX_MARKS, charts_of, count
from components.run_report.template import PAGE, STYLE
from components.run_report.values import RunReport, SeenTokens

MAX_SEQUENCES = 20
"""Maximum sequences of an incident whose documents are listed."""

MAX_ROWS = 30
"""Maximum rows of a table of tokens seen."""

Share = tuple[str, float, float, int]
"""Name, tokens seen, share of all tokens, bytes of the corpus."""


def render(report: RunReport) -> str:
    """The HTML page; equal reports give equal bytes."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["count"] = count
    trainings = [(training.title, charts_of(training), training) for training in report.trainings if training.series.steps]
    return environment.from_string(PAGE).render(
        report=report,
        style=STYLE,
        trainings=trainings,
        seen=[("source", _by(report, _source)), ("domain", _by(report, _domain)), ("language", _by(report, _language))],
        tasks=_tasks(report.findings) if report.findings else [],
        task_models=list(dict.fromkeys(row.model for row in report.findings.tasks)) if report.findings else [],
        alignment=_whole(report.findings.alignment) if report.findings else (),
        baselines=BASELINES,
        longest=max((row.seconds or row.when_made or 0.0 for row in report.times), default=0.0),
        max_marks=MAX_MARKS,
        max_sequences=MAX_SEQUENCES,
    )


def _by(report: RunReport, key: Callable[[SeenTokens], str]) -> list[Share]:
    """Sums by key, the largest first; what exceeds `MAX_ROWS` is summed in the last row."""
    tokens: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for row in report.seen:
        name = key(row)
        tokens[name] = tokens.get(name, 0.0) + row.tokens
        sizes[name] = sizes.get(name, 0) + row.bytes
    total = sum(tokens.values()) or 1.0
    rows = [(name, tokens[name], tokens[name] / total, sizes[name]) for name in sorted(tokens, key=lambda n: (-tokens[n], n))]
    rest = rows[MAX_ROWS:]
    if not rest:
        return rows
    others = (f"{len(rest)} others", sum(row[1] for row in rest), sum(row[2] for row in rest), sum(row[3] for row in rest))
    return [*rows[:MAX_ROWS], others]


def _source(row: SeenTokens) -> str:
    return row.source


def _domain(row: SeenTokens) -> str:
    return row.domain


def _language(row: SeenTokens) -> str:
    return row.language or "not known"


def _whole(changes: Sequence[Change]) -> Sequence[Change]:
    """The measures over all kinds of held-out examples, if there are any; the report of the evaluation has those by kind."""
    return [change for change in changes if change.kind == "all"] or changes


def _tasks(findings: Findings) -> list[tuple[TaskResult, dict[str, float]]]:
    """Each task and metric once, with the values of the models."""
    grouped: dict[tuple[str, str], tuple[TaskResult, dict[str, float]]] = {}
    for row in findings.tasks:
        grouped.setdefault((row.task, row.metric), (row, {}))[1][row.model] = row.value
    return list(grouped.values())
