"""Says and records that a run has ended before its work was done: in one line, in the journal and in MLflow."""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from components.errors import ExitCode
from infra.cluster.process_profile import profile_of_process
from infra.hook import call_hook
from infra.mlflow import tracking
from infra.process_end import GRACE_SECONDS, Cause, guarded
from workflows.steps.journal import DONE, Event, Journal, listening

_STARTED_WITHIN = 10.0
"""Seconds by which two readings of a process's start may differ, because the system derives it from an adjustable clock."""


_HOOK_SECONDS = 10.0
"""Seconds within which the user's hook must end."""

_HOOK_SECONDS_WHEN_STOPPED = 2.0
"""Seconds within which it must end if the run was stopped: whoever stops a process waits for its end."""


@contextlib.contextmanager
def recorded(journal: Journal) -> Iterator[None]:
    """Within the block, say and record in this journal whatever ends this process. Does nothing in another guard's block."""
    end, profile = _End(journal), profile_of_process()
    with listening(end), guarded(end.announce, end.record, profile.grace_seconds if profile else GRACE_SECONDS):
        yield


def write_end(journal: Journal, **facts: Any) -> Event:
    """Write the end of a run to its journal; returns these facts with the id of the run, its recipe and its model."""
    journal.write("finished", **facts)
    events = journal.events()
    recipe = next((event["recipe"] for event in events if event["event"] == "run"), "")
    model = next((event["model"] for event in reversed(events) if event["event"] == "registered"), "")
    return {"run": journal.name, "recipe": recipe, "model": model, **facts}


def tell_hook(journal: Journal, ended: Event) -> None:
    """Call the user's hook with the facts of `write_end`. Its failure does not change how the run ended."""
    seconds = _HOOK_SECONDS if ended["exit_code"] < ExitCode.INTERRUPTED else _HOOK_SECONDS_WHEN_STOPPED
    if failure := call_hook(ended, seconds):
        journal.write("hook_failed", message=failure)


def process_facts() -> dict[str, str | int | float]:
    """What identifies this process in the journal, so that a later command can see whether it still runs."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "process_started": psutil.Process().create_time()}


def close_dead_runs(runs: Path) -> None:
    """Record the end of each run on this machine whose process is gone without having done so, as after SIGKILL.

    `runs` is the directory with the runs of a home.
    """
    for directory in sorted(runs.iterdir()) if runs.is_dir() else []:
        end = _End(Journal(directory))
        if (process := end.run) is not None and _is_gone(process):
            cause = Cause(what="killed", exit_code=137, number=9)
            end.announce(cause)
            end.record(cause)


def _is_gone(process: Event) -> bool:
    if "pid" not in process or process.get("host", socket.gethostname()) != socket.gethostname():
        return False
    try:
        started = psutil.Process(process["pid"]).create_time()
    except psutil.NoSuchProcess:
        return True
    return abs(started - process.get("process_started", started)) > _STARTED_WITHIN


@dataclass(eq=False)
class _End:
    """The end of what is open in a journal: the run, and the steps that have started."""

    journal: Journal
    _progress: dict[str, Event] = field(default_factory=dict)
    """The last progress of each step, if the steps run in this process."""
    _open: list[Event] = field(default_factory=list)
    """The events that opened what `announce` has ended."""
    _ended: Event = field(default_factory=dict)
    """What `announce` wrote about the end of the run; empty if no run was open."""

    def __call__(self, event: Event) -> None:
        """Remember how far a step has come."""
        if event["event"] == "progress":
            self._progress[event["step"]] = event

    @property
    def run(self) -> Event | None:
        """The event that opened the run, unless the run has ended, or was not opened here."""
        events = self.journal.events()
        opened = next((event for event in events if event["event"] == "run"), None)
        return None if any(event["event"] == "finished" for event in events) else opened

    @property
    def steps(self) -> list[Event]:
        """The events that started the steps which have not ended."""
        started: dict[str, Event] = {}
        for event in self.journal.events():
            if event["event"] == "started":
                started[event["step"]] = event
            elif event["event"] in {*DONE, "failed", "interrupted"} and "step" in event:
                started.pop(event["step"], None)
        return list(started.values())

    def announce(self, cause: Cause) -> str:
        """Write the end to the journal; returns the line about it."""
        run, steps = self.run, self.steps
        line = self._line(cause, steps)
        for step in steps:
            facts = {"why": cause.what} if cause.number else {"error": "Death", "message": cause.what, "known": True}
            self.journal.write("interrupted" if cause.number else "failed", step=step["step"], **facts)
        self._open = [*steps, *([run] if run else [])]
        if run:
            facts = {"failed": True, "interrupted": bool(cause.number), "message": line, "exit_code": cause.exit_code}
            self._ended = write_end(self.journal, **facts)
        return line

    def record(self, cause: Cause) -> None:
        """Write the end to MLflow. Call it after `announce`."""
        for event in self._open:
            if "mlflow_run" in event:
                tracking.fail_run(event["tracking_uri"], event["mlflow_run"], "KILLED" if cause.number else "FAILED")
        if self._ended:
            tell_hook(self.journal, self._ended)

    def _line(self, cause: Cause, steps: Sequence[Event]) -> str:
        if not steps:
            return f"{cause.what}; the same command reuses the finished steps"
        step = steps[-1]
        name, saved = step["step"], _saved_step(step)
        onward = f"goes on from step {saved}" if saved else f"reuses the finished steps and starts {name} again"
        return f"{cause.what} in {name}{self._position(name)}; the same command {onward}"

    def _position(self, step: str) -> str:
        progress = self._progress.get(step)
        if progress is None:
            return ""
        done, total, unit = progress["done"], progress["total"], progress["unit"]
        return f" at step {done:.0f}" if unit == "steps" else f" ({done:.0f} of {total:.0f} {unit})"


def _saved_step(started: Event) -> int:
    """The number of steps of the newest checkpoint of a training; 0 if it has none, or if the step is not a training."""
    from components.training.checkpoints.files import published, step_of

    saved = published(Path(started["scratch"]) / "checkpoints") if "scratch" in started else []
    return step_of(saved[0]) if saved else 0
