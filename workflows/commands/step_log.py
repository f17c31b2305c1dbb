"""`longrun logs RUN STEP`: what a step read, what was decided, what it counted, its warnings and time, and what it printed."""

from collections.abc import Iterator, Mapping
from typing import Any

from components.errors import ConfigError, unknown
from components.files import JSON
from components.ports import ArtifactStore
from components.series import Series
from infra.mlflow.tracking import flatten
from workflows.reports.steps import StepSummary, steps_in
from workflows.steps.journal import Journal

_SHOWN_PROGRESS = ("loss", "learning_rate", "gradient_norm", "tokens_per_second")
"""Figures of a running training that are shown."""


def step_summary(journal: Journal, store: ArtifactStore, step: str) -> StepSummary:
    """The summary of a step. Raises `ConfigError` if the run has not come to a step of that name."""
    summary = StepSummary.of(journal, store, step)
    if summary is None:
        raise ConfigError(f"run {journal.name}: {unknown('step', step, steps_in(journal))}")
    return summary


def step_json(journal: Journal, store: ArtifactStore, step: str) -> dict[str, JSON]:
    """The summary of a step and its log, as JSON values."""
    summary = step_summary(journal, store, step)
    return {
        "step": step,
        "state": summary.state,
        "artifact": summary.artifact.uri if summary.artifact else None,
        "inputs": {name: artifact.uri for name, artifact in summary.inputs.items()},
        "config": dict(summary.config),
        "figures": dict(summary.figures),
        "warnings": list(summary.warnings),
        "notes": list(summary.notes),
        "seconds": summary.seconds,
        "measurements": dict(summary.measurements),
        "failure": summary.failure,
        "log": _log(journal, step),
    }


def step_lines(journal: Journal, store: ArtifactStore, step: str) -> list[str]:
    """The summary of a step as text, followed by its log."""
    summary = step_summary(journal, store, step)
    lines = [f"step {step} of run {journal.name}: {summary.state}{_time(summary)}"]
    if summary.failure:
        lines.append(f"  {summary.failure}")
    if summary.artifact:
        lines.append(f"  {summary.artifact.uri}")
    inputs = {name: artifact.uri for name, artifact in summary.inputs.items()}
    decided = {name: value for name, value in flatten(summary.config).items() if name != "type"}
    figures = {name: value for name, value in flatten(summary.figures).items() if name not in ("notes", "warnings")}
    newest = Series.read(journal.series(step)) if summary.state in ("running", "failed") else None
    for title, values in (
        ("inputs", inputs),
        ("configuration", decided),
        ("figures", figures),
        ("progress", _progress(newest) if newest else {}),
        ("measured when it was made", summary.measurements),
    ):
        lines += _section(title, values)
    lines += ["notes", *(f"  {note}" for note in summary.notes)] if summary.notes else []
    lines += ["warnings", *(f"  {warning}" for warning in summary.warnings)] if summary.warnings else ["no warnings"]
    printed = _log(journal, step).rstrip("\n")
    return [*lines, "", "printed", printed] if printed.strip() else [*lines, _nothing_printed(summary)]


def _time(summary: StepSummary) -> str:
    if summary.state == "cached":
        made = summary.measurements.get("seconds")
        return " (reused from an earlier run" + (f", which took {made:.1f} s to make it)" if made is not None else ")")
    return "" if summary.seconds is None else f" in {summary.seconds:.1f} s"


def _progress(series: Series) -> dict[str, float]:
    if not series.steps:
        return {}
    return {"step": series.steps[-1]} | {name: value for name in _SHOWN_PROGRESS if (value := series.last(name)) is not None}


def _section(title: str, values: Mapping[str, Any]) -> Iterator[str]:
    if values:
        yield title
        width = min(max(map(len, values)), 40)
        yield from (f"  {name:<{width}}  {_word(value)}" for name, value in values.items())


def _word(value: Any, max_characters: int = 100) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= max_characters else f"{text[:max_characters]}… (--json shows all)"


def _log(journal: Journal, step: str) -> str:
    path = journal.log(step)
    return path.read_text(errors="replace") if path.is_file() else ""


def _nothing_printed(summary: StepSummary) -> str:
    return "it printed nothing" if summary.state != "cached" else "it printed nothing in this run"
