"""Gathers the report of a run from its journal, its series and its artifacts, and writes it as an HTML page."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from components.artifacts import Artifact, Findings
from components.errors import ArtifactError, LongrunError
from components.files import write_text
from components.ports import ArtifactStore
from components.run_report.values import MarkedStep, RunReport, SeenTokens, StepCost, TrainingCurves
from components.series import Series
from components.training.incidents import NAME as INCIDENTS
from components.training.incidents import read_incidents
from components.training.spikes import NOT_FINITE, SPIKE
from infra.settings import Settings
from workflows.reports.runs import RunSummary, duration
from workflows.reports.steps import StepSummary, steps_in
from workflows.steps.journal import Journal
from workflows.steps.journals import journals
from workflows.steps.series import series_of

logger = logging.getLogger(__name__)

NAME = "report.html"
"""The page in the directory of its run."""

TRAININGS = {"pretraining": "Pretraining", "sft": "Supervised fine-tuning (SFT)", "dpo": "Preference optimisation (DPO)"}
"""The steps that train, with their headings."""

_TABLE = "metrics/training.parquet"


def write_report(settings: Settings, journal: Journal, path: Path | None = None) -> Path:
    """Write the page of a run to `path`, else to the directory of the run; returns its path.

    Raises:
        StoreError: the artifact store cannot be reached.
        OSError: the file cannot be written.
    """
    from components.run_report.page import render

    target = path or journal.directory / NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, render(report_of(settings, journal)))
    return target


def leave_report(settings: Settings, journal: Journal) -> None:
    """Write the page at the end of a run. Whatever fails there is a warning, because the run itself has ended well or badly."""
    try:
        write_report(settings, journal)
    except Exception as error:
        logger.warning("the report of run %s could not be written: %s", journal.name, error, exc_info=not _is_ours(error))


def _is_ours(error: Exception) -> bool:
    """Whether the message of an error says enough without a traceback."""
    return isinstance(error, LongrunError | OSError)


def report_of(settings: Settings, journal: Journal) -> RunReport:
    """The report of a run; what it has not come to, or whose artifact was deleted, is left out."""
    run, store = RunSummary.of(journal), settings.store
    steps = {name: summary for name in steps_in(journal) if (summary := StepSummary.of(journal, store, name)) is not None}
    checks = tuple((name.removeprefix("check_"), check) for name, summary in steps.items() for check in summary.checks)
    trainings = tuple(_trainings(settings, journal, steps))
    return RunReport(
        run=run.run,
        recipe=run.recipe,
        state=run.state,
        started=time.strftime("%Y-%m-%d %H:%M", time.gmtime(run.started)),
        seconds=run.seconds,
        failure=run.failure,
        changes=run.changes,
        warnings=tuple((name, warning) for name, summary in steps.items() for warning in summary.warnings),
        notes=tuple((name, note) for name, summary in steps.items() for note in summary.notes),
        trainings=trainings,
        seen=tuple(_seen(store, steps)),
        checks=checks,
        findings=_findings(store, steps.get("evaluation")),
        times=tuple(map(_time, steps.values())),
        figures=_figures(run, trainings, passed=sum(check.passed for _, check in checks), checks=len(checks)),
    )


def _figures(run: RunSummary, trainings: Sequence[TrainingCurves], *, passed: int, checks: int) -> dict[str, str]:
    """The tiles at the top of the page."""
    figures = {"duration": duration(run.seconds), "model" if "/" in run.result else "last step": run.result or "none yet"}
    name, _, value = run.figure.rpartition(" ")
    figures |= {name: value} if name else {}
    for training in trainings:
        if training.step == "pretraining" and (tokens := training.series.last("tokens")):
            figures["training tokens"] = f"{tokens:,.0f}"
    figures |= {"checks passed": f"{passed} of {checks}"} if checks else {}
    return figures | {"steps made": f"{run.made} of {run.made + run.cached}"}


def _trainings(settings: Settings, journal: Journal, steps: Mapping[str, StepSummary]) -> Iterator[TrainingCurves]:
    for name, title in TRAININGS.items():
        if (summary := steps.get(name)) is not None:
            series = _series(settings, journal, summary)
            incidents = tuple(_incidents(settings.store, journal, summary, series))
            yield TrainingCurves(step=name, title=title, state=summary.state, series=series, incidents=incidents)


def _series(settings: Settings, journal: Journal, summary: StepSummary) -> Series:
    """The series of this run; of a reused step, that of the run which made it, or else the table in its artifact."""
    own = series_of(settings, journal, summary.step)
    if own.steps or summary.artifact is None:
        return own
    for other in journals(settings) if not settings.profile else ():
        event = other.find(summary.step, ("made",))
        if (
            event is not None
            and event["uri"] == summary.artifact.uri
            and (made := series_of(settings, other, summary.step)).steps
        ):
            return made
    path = _file(settings.store, summary.artifact, _TABLE)
    return own if path is None else _series_in(path)


def _series_in(table: Path) -> Series:
    from array import array

    import pyarrow.parquet as pq

    read = pq.read_table(table)
    names = [name for name in read.column_names if name != "step"]
    columns = {name: array("d", read[name].cast("float64").fill_null(float("nan")).to_pylist()) for name in names}
    return Series(array("q", read["step"].to_pylist()), columns)


def _incidents(store: ArtifactStore, journal: Journal, summary: StepSummary, series: Series) -> Iterator[MarkedStep]:
    """The steps with a spike, or that are not finite, with their documents where they were recorded."""
    path = _file(store, summary.artifact, f"metrics/{INCIDENTS}") if summary.artifact else _scratch(journal, summary.step)
    recorded = {incident.step: incident for incident in read_incidents(path)} if path is not None else {}
    marked = {step: "a loss spike" for step, _ in series.points(SPIKE)}
    marked |= {step: "the loss or its gradient is not finite" for step, _ in series.points(NOT_FINITE)}
    for step in sorted(recorded.keys() | marked.keys()):
        if (incident := recorded.get(step)) is not None:
            documents = tuple((sequence.domain, sequence.documents) for sequence in incident.sequences)
            yield MarkedStep(step=step, reason=incident.reason, documents=documents)
        else:
            yield MarkedStep(step=step, reason=marked[step])


def _scratch(journal: Journal, step: str) -> Path | None:
    """The incidents of a training that has not finished, in its scratch directory."""
    started = journal.find(step, ("started",)) or {}
    return Path(started["scratch"]) / INCIDENTS if "scratch" in started else None


def _seen(store: ArtifactStore, steps: Mapping[str, StepSummary]) -> Iterator[SeenTokens]:
    """The tokens of each portion that pretraining saw, divided among sources and languages by bytes in the corpus."""
    curation, pretraining = steps.get("curation"), steps.get("pretraining")
    if curation is None or pretraining is None or curation.artifact is None or pretraining.artifact is None:
        return
    path = _file(store, curation.artifact, "metrics/refusals.parquet")
    table = _file(store, pretraining.artifact, _TABLE)
    if path is None or table is None:
        return
    kept, seen = _kept(path), _portions(table)
    sizes: dict[str, int] = {}
    for (_, domain, language), size in kept.items():
        portion = _portion(seen, domain, language)
        sizes[portion] = sizes.get(portion, 0) + size
    for (source, domain, language), size in sorted(kept.items()):
        portion = _portion(seen, domain, language)
        tokens = seen.get(portion, 0.0) * size / sizes[portion] if sizes[portion] else 0.0
        yield SeenTokens(source=source, domain=domain, language=language, tokens=tokens, bytes=size)


def _portion(seen: Mapping[str, float], domain: str, language: str) -> str:
    """The portion of the mixture that text of a domain and language belongs to."""
    return f"{domain}/{language}" if f"{domain}/{language}" in seen else domain


def _kept(path: Path) -> dict[tuple[str, str, str], int]:
    """Bytes in the corpus by source, domain and language."""
    import pyarrow.parquet as pq

    rows = pq.read_table(path, columns=["source", "domain", "language", "reason", "bytes"]).to_pylist()
    kept: dict[tuple[str, str, str], int] = {}
    for row in rows:
        if not row["reason"]:
            key = (row["source"], row["domain"], row["language"] or "")
            kept[key] = kept.get(key, 0) + row["bytes"]
    return kept


def _portions(table: Path) -> dict[str, float]:
    """Tokens seen after the last step of each language with a share of its own, and of the rest of each domain."""
    import pyarrow.parquet as pq

    prefix = "tokens/"
    with pq.ParquetFile(table) as file:
        names = [name for name in file.schema_arrow.names if name.startswith(prefix)]
        last = file.read(columns=names).slice(file.metadata.num_rows - 1).to_pylist()
    seen = {name.removeprefix(prefix): float(value) for row in last for name, value in row.items()}
    for portion in [name for name in seen if "/" in name]:
        seen[portion.partition("/")[0]] -= seen[portion]
    return seen


def _findings(store: ArtifactStore, summary: StepSummary | None) -> Findings | None:
    if summary is None or summary.artifact is None:
        return None
    path = _file(store, summary.artifact, Findings.NAME)
    return None if path is None else Findings.read(path.parent)


def _file(store: ArtifactStore, artifact: Artifact, name: str) -> Path | None:
    """A file of an artifact; None if it has no such file, or was deleted."""
    try:
        path = store.local(artifact, (name,)) / name
    except ArtifactError:
        return None
    return path if path.is_file() else None


def _time(summary: StepSummary) -> StepCost:
    measured = summary.measurements
    return StepCost(
        step=summary.step,
        state=summary.state,
        seconds=summary.seconds,
        when_made=measured.get("seconds"),
        memory_bytes=measured.get("peak_memory_bytes"),
    )
