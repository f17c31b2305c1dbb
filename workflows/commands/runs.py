"""`longrun runs`, and what `status`, `logs` and `cancel` do with a run, on this machine or on a cluster."""

import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from components.errors import ConfigError, single_line
from components.files import JSON
from infra.settings import Settings
from workflows.steps.journal import Event, Journal
from workflows.steps.journals import journals

_EVENTS_OF_STATUS = 5
"""Last events that `status` shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """Where a run is, for a program and for a reader."""

    as_json: dict[str, JSON]
    lines: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedLog:
    """Which log of a run is meant."""

    step: str = ""
    """Empty: the events of the run, or what its driver has printed."""
    worker: int | None = None
    """A worker of the step's Ray cluster, from 0; None: the step's own process."""
    everything: bool = False
    """Whether with what Flyte and Ray print around it."""


class AnyRun(Protocol):
    """A run that a user has named, wherever it runs."""

    @property
    def name(self) -> str:
        """Its id."""

    def status(self) -> Status:
        """Where it is, and what stands in its way."""

    def log_lines(self, wanted: WantedLog) -> Iterable[str]:
        """What a step has printed; of no step, the events of the run, or what its driver has printed."""

    def log_json(self, wanted: WantedLog) -> Any:
        """The same as JSON values."""

    def failure(self) -> str:
        """Why it has failed, in a line; empty where it has not, or goes on."""

    def cancel(self) -> None:
        """Stop it. Raises `ConfigError` where that cannot be done from here."""


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A run of this machine."""

    journal: Journal

    @property
    def name(self) -> str:
        """Its id."""
        return self.journal.name

    def status(self) -> Status:
        """Its state, how many steps it made and reused, and its last events."""
        row = run_row(self.journal)
        first = f"run {row['run']} {row['state']} on this machine: {row['made']} made, {row['cached']} cached"
        return Status(as_json=row, lines=[first, *event_lines(self.journal.events())[-_EVENTS_OF_STATUS:]])

    def log_lines(self, wanted: WantedLog) -> list[str]:
        """What a step has printed; of no step, a line an event."""
        self._require_no_worker(wanted)
        return [read_log(self.journal, wanted.step)] if wanted.step else event_lines(self.journal.events())

    def log_json(self, wanted: WantedLog) -> Any:
        """What a step has printed as one text; of no step, the events."""
        self._require_no_worker(wanted)
        return read_log(self.journal, wanted.step) if wanted.step else self.journal.events()

    def _require_no_worker(self, wanted: WantedLog) -> None:
        if wanted.worker is not None:
            raise ConfigError("--worker is about runs on a cluster; on this machine workers print into Ray's session in the home")

    def failure(self) -> str:
        """What it has failed with; empty where it has not, or goes on, or was killed."""
        ended = next((event for event in reversed(self.journal.events()) if event["event"] == "finished"), None)
        return f"run {self.name} failed: {single_line(ended.get('message', ''))}" if ended and ended["failed"] else ""

    def cancel(self) -> None:
        """Raise `ConfigError`: the process that runs it is not known."""
        raise ConfigError(f"run {self.name} is one of this machine: stop it with Ctrl-C where it runs")


def list_runs(settings: Settings) -> list[dict[str, JSON]]:
    """Each run of the home, or of a cluster, with its recipe, state and what it made, oldest first."""
    return [run_row(journal) for journal in reversed(list(journals(settings))) if journal.path.is_file()]


def run_row(journal: Journal) -> dict[str, JSON]:
    """A run's id, recipe and state, and how many steps it made and reused; of a run on a cluster only that it was submitted."""
    events = journal.events()
    kinds = [event["event"] for event in events]
    ended = next((event for event in reversed(events) if event["event"] == "finished"), None)
    submitted = next((kind for kind in kinds if kind in {"submitted", "refused"}), "")
    state = submitted or ("unfinished" if ended is None else "failed" if ended["failed"] else "finished")
    recipe = next((event["recipe"] for event in events if "recipe" in event), "?")
    return {"run": journal.name, "recipe": recipe, "state": state, "made": kinds.count("made"), "cached": kinds.count("cached")}


def event_lines(events: Sequence[Event]) -> list[str]:
    """One line an event: time, what happened, to which step, and why."""
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
    """What a command ends with to use the same home; nothing for the usual one."""
    return "" if settings.home == Path(".longrun").absolute() else f" --home {shlex.quote(str(settings.home))}"


def read_log(journal: Journal, step: str) -> str:
    """What a step has printed. Raises `ConfigError` where that run has no such log."""
    path = journal.log(step)
    if not path.is_file():
        known = ", ".join(sorted(log.stem for log in journal.directory.glob("*.log"))) or "none"
        raise ConfigError(f"run {journal.name} has no log of {step!r}; it has: {known}")
    return path.read_text(errors="replace")
