"""`longrun runs` and `logs`: the runs of a home, their events, and what their steps printed."""

import time
from collections.abc import Sequence
from typing import Any

from components.errors import ConfigError
from infra.settings import Settings
from workflows.steps.journal import Event, Journal


def list_runs(settings: Settings) -> list[dict[str, Any]]:
    """Each run of the home with its recipe, state and what it made, oldest first."""
    directories = sorted(settings.runs.iterdir()) if settings.runs.is_dir() else []
    return [run_row(Journal(directory)) for directory in directories if (directory / "events.jsonl").is_file()]


def run_row(journal: Journal) -> dict[str, Any]:
    """A run's id, recipe and state, and how many steps it made and reused; of a run on a cluster only that it was sent there."""
    events = journal.events()
    kinds = [event["event"] for event in events]
    ended = next((event for event in reversed(events) if event["event"] == "finished"), None)
    sent = next((kind for kind in kinds if kind in {"submitted", "refused"}), "")
    state = sent or ("unfinished" if ended is None else "failed" if ended["failed"] else "finished")
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


def read_log(journal: Journal, step: str) -> str:
    """What a step printed. Raises `ConfigError` where that run has no such log."""
    path = journal.log(step)
    if not path.is_file():
        known = ", ".join(sorted(log.stem for log in journal.directory.glob("*.log"))) or "none"
        raise ConfigError(f"run {journal.name} has no log of {step!r}; it has: {known}")
    return path.read_text(errors="replace")
