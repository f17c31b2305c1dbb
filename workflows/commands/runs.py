"""`longrun runs`, and the runs that `status`, `logs` and `cancel` act on: those of this machine, or on a cluster."""

import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from components.errors import ConfigError, ExitCode, single_line
from components.files import JSON
from infra.settings import Settings
from workflows.commands.columns import in_columns
from workflows.commands.step_log import step_json, step_lines
from workflows.reports.runs import RunSummary, duration
from workflows.steps.ending import close_dead_runs
from workflows.steps.journal import Event, Journal
from workflows.steps.journals import journals

_EVENTS_OF_STATUS = 5
"""Number of events that `status` prints, the newest ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """The state of a run, as JSON values and as lines of text."""

    as_json: dict[str, JSON]
    lines: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedLog:
    """Which log of a run to print."""

    step: str = ""
    """Name of a step; empty: the events of the run, or on a cluster the output of its driver."""
    worker: int | None = None
    """Index of a worker in the step's Ray cluster, from 0; None: the process of the step itself."""
    everything: bool = False
    """Whether to include the lines that Flyte and Ray print themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a run has failed."""

    message: str
    """In one line."""
    exit_code: int
    """Exit code of the command that ran it."""


class AnyRun(Protocol):
    """A run, on this machine or on a cluster."""

    @property
    def name(self) -> str:
        """The id of the run."""

    def status(self) -> Status:
        """The state of the run, and what it is waiting for."""

    def log_lines(self, wanted: WantedLog) -> Iterable[str]:
        """The lines of the wanted log."""

    def log_json(self, wanted: WantedLog) -> Any:
        """The wanted log as JSON values."""

    def failure(self) -> Failure | None:
        """Why the run has failed; None if it has not failed or is still running."""

    def cancel(self) -> None:
        """Cancel the run. Raises `ConfigError` if it cannot be cancelled by a command."""


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A run on this machine."""

    journal: Journal
    settings: Settings

    @property
    def name(self) -> str:
        """The id of the run."""
        return self.journal.name

    def status(self) -> Status:
        """The state of the run, how many steps it made and reused, and its newest events."""
        run = RunSummary.of(self.journal)
        first = f"run {run.run}, on this machine: {run.state}, {run.made} steps made, {run.cached} cached"
        return Status(as_json=asdict(run), lines=[first, *event_lines(self.journal.events())[-_EVENTS_OF_STATUS:]])

    def log_lines(self, wanted: WantedLog) -> list[str]:
        """What a step did, and its log; without a step, one line per event."""
        self._require_no_worker(wanted)
        if not wanted.step:
            return event_lines(self.journal.events())
        return step_lines(self.journal, self.settings.store, wanted.step)

    def log_json(self, wanted: WantedLog) -> Any:
        """What a step did, and its log; without a step, the events."""
        self._require_no_worker(wanted)
        return step_json(self.journal, self.settings.store, wanted.step) if wanted.step else self.journal.events()

    def _require_no_worker(self, wanted: WantedLog) -> None:
        if wanted.worker is not None:
            raise ConfigError(
                f"--worker is for runs on a cluster; run {self.name} is on this machine, where Ray keeps the output of "
                "workers in its session directory, below ray in the home"
            )

    def failure(self) -> Failure | None:
        """The error that ended the run; None if it has not failed, is still running, or was killed."""
        ended = next((event for event in reversed(self.journal.events()) if event["event"] == "finished"), None)
        if ended is None or not ended["failed"]:
            return None
        # journals of earlier versions have no exit code
        message = f"run {self.name} failed: {single_line(ended.get('message', ''))}"
        return Failure(message=message, exit_code=ended.get("exit_code", ExitCode.FAILED))

    def cancel(self) -> None:
        """Raise `ConfigError`, since the journal does not record which process runs it."""
        raise ConfigError(
            f"run {self.name} is on this machine, and cancel is for runs on a cluster; stop it with Ctrl-C in its terminal"
        )


def list_runs(settings: Settings) -> list[RunSummary]:
    """Every run of the home, or of the cluster that the settings refer to, oldest first."""
    if not settings.profile:
        close_dead_runs(settings.runs)
    return [RunSummary.of(journal) for journal in reversed(list(journals(settings))) if journal.path.is_file()]


def run_lines(runs: Sequence[RunSummary]) -> list[str]:
    """One line per run, and below it why it failed, what was set, its tags and its note."""
    words = [_columns(run) for run in runs]
    lines = []
    for run, line in zip(runs, in_columns(words, (22, 9, 12, 13, 9, 21, 16)), strict=True):
        lines.append(line.rstrip())
        lines += [f"    {run.state}: {run.failure}"] if run.failure else []
        lines += [f"    set: {' '.join(run.changes)}"] if run.changes else []
        lines += [f"    tags: {', '.join(f'{key}={value}' for key, value in run.tags.items())}"] if run.tags else []
        lines += [f"    note: {single_line(run.note)}"] if run.note else []
    return lines


def _columns(run: RunSummary) -> list[str]:
    steps = f"{run.made} made, {run.cached} cached"
    return [run.run, run.user, run.recipe, run.state, duration(run.seconds), steps, run.result, run.figure]


def event_lines(events: Sequence[Event]) -> list[str]:
    """One line per event: time, event, step and details."""
    shown = ("step", "recipe", "model", "message", "why", "digest", "seconds")
    return [
        f"{time.strftime('%H:%M:%S', time.localtime(event['time']))}  {event['event']:<11}"
        + "  ".join(_fact(name, event[name]) for name in shown if name in event)
        for event in events
    ]


def _fact(name: str, value: Any) -> str:
    if name == "seconds":
        return f"{value:.1f} s"
    return str(value)[:12] if name == "digest" else str(value)


def home_option(settings: Settings) -> str:
    """The `--home` option for commands that use the same home; empty for `.longrun` in the current directory."""
    return "" if settings.home == Path(".longrun").absolute() else f" --home {shlex.quote(str(settings.home))}"
