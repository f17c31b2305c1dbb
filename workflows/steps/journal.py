"""Writes and reads the journal of a run: a directory with an append-only file of events and one log per step.

Each event is one JSON line that is flushed at once, so the journal of a killed run is complete up to the kill.
"""

import contextlib
import json
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.artifacts import Artifact
from components.errors import ConfigError
from infra.cluster.process_profile import in_pod, profile_of_process

Event = dict[str, Any]

DONE = ("made", "cached")
"""Events that end a step with an artifact."""

_listeners: list[Callable[[Event], None]] = []
"""Functions that are called with each event of this process."""


@dataclass(frozen=True)
class Journal:
    """Events and logs of one run, below its directory."""

    directory: Path

    def write(self, event: str, **facts: Any) -> None:
        """Append an event and pass it to the listeners of this process. In a pod, also print it and store it with the
        artifacts."""
        line: Event = {"event": event, "time": time.time(), **facts}
        # on a cluster each step has its own pod, in which the directory does not exist yet
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        if in_pod():
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
            self._leave_in_store()
        _notify(line)

    def _leave_in_store(self) -> None:
        """Store the events of this pod next to the artifacts, for commands that read the run later."""
        profile = profile_of_process()
        if profile is None:
            return
        from infra.run_events import RunEvents

        if refusal := RunEvents(profile.artifact_root).offer(self.name, socket.gethostname(), self.path.read_bytes()):
            sys.stderr.write(f"the events of run {self.name} could not be stored: {refusal}\n")

    @property
    def path(self) -> Path:
        """The file of events."""
        return self.directory / "events.jsonl"

    def events(self) -> list[Event]:
        """All events so far, oldest first; a line truncated by a kill is skipped."""
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        return [event for line in lines if (event := _parsed(line)) is not None]

    def find(self, step: str, kinds: tuple[str, ...] = DONE) -> Event | None:
        """The last event of a step that is one of `kinds`; None if there is none yet."""
        return next((event for event in reversed(self.events()) if event.get("step") == step and event["event"] in kinds), None)

    def last(self, step: str, kinds: tuple[str, ...] = DONE) -> Event:
        """The last event of a step that is one of `kinds`. Raises `ConfigError` if there is none yet."""
        event = self.find(step, kinds)
        if event is None:
            raise ConfigError(f"run {self.name} has not finished step {step}; see: longrun logs {self.name}")
        return event

    def artifact(self, step: str) -> Artifact:
        """The artifact that a step of the run made or reused. Raises `ConfigError` if there is none yet."""
        return _artifact_of(self.last(step))

    def artifacts(self) -> list[Artifact]:
        """All artifacts that the run made or reused, and the training states that it keeps for branches or continues from."""
        return [_artifact_of(event) for event in self.events() if event["event"] in {*DONE, "kept", "uses"}]

    def log(self, step: str) -> Path:
        """The file with the output of a step and of the libraries that it uses."""
        return self.directory / f"{step}.log"

    def series(self, step: str) -> Path:
        """The file with the series of a training run (`components.series`)."""
        return self.directory / "series" / f"{step}.jsonl"

    @property
    def name(self) -> str:
        """The run's id."""
        return self.directory.name


def _artifact_of(event: Event) -> Artifact:
    # journals from the time of format 1 have only one digest
    return Artifact(uri=event["uri"], digest=event["digest"], content=event.get("content", ""))


def _parsed(line: str) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def open_journal(runs: Path, name: str = "") -> Journal:
    """Create the journal of a run. Its id is `name` if given, else the current time and four random characters."""
    directory = runs / (name or time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2))
    directory.mkdir(parents=True, exist_ok=bool(name))
    return Journal(directory)


def is_name(text: str) -> bool:
    """Whether `text` has the form of a run's id."""
    return bool(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", text))


def find_journal(runs: Path, run: str) -> Journal:
    """The journal of a run, by its id, a unique prefix of it, or `latest`. Raises `ConfigError` if none or several match."""
    known = sorted(path.name for path in runs.iterdir()) if runs.is_dir() else []
    matching = known[-1:] if run == "latest" else [name for name in known if name.startswith(run)]
    if len(matching) != 1:
        recent = ", ".join(known[-3:]) or "none in this home"
        raise ConfigError(f"run {run!r} matches {len(matching)} runs; allowed: latest, or a unique prefix of: {recent}")
    return Journal(runs / matching[0])


@contextlib.contextmanager
def listening(listener: Callable[[Event], None]) -> Iterator[None]:
    """Call `listener` with every event of this process inside the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def progress(step: str, done: float, total: float, unit: str) -> None:
    """Pass progress to the listeners without writing it to a journal."""
    show("progress", step=step, done=done, total=total, unit=unit)


def show(event: str, **facts: Any) -> None:
    """Pass an event to the listeners of this process without writing it to a journal."""
    _notify({"event": event, "time": time.time(), **facts})


def _notify(event: Event) -> None:
    for listener in _listeners:
        listener(event)


@contextlib.contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Within the block, append the output of this process and its children (file descriptors 1 and 2) to `path`.

    In a pod nothing is redirected, because the cluster stores the output.
    """
    if in_pod():
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, descriptor in enumerate(saved, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(target)
