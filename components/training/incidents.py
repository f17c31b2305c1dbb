"""Writes and reads the incidents of a training: its steps with a spike or a value that is not finite, and their documents."""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import decoded, encoded

logger = logging.getLogger(__name__)

NAME = "incidents.jsonl"


@dataclass(frozen=True)
class SeenSequence:
    """One sequence of a batch; in SFT and DPO, one conversation or preference pair."""

    domain: str
    """Its domain; in SFT and DPO, its kind."""
    start: int
    """Offset of its first token in the domain's training tokens; in SFT and DPO, its index among the items trained on."""
    documents: tuple[str, ...]
    """Ids of the documents that overlap it, in order; in SFT and DPO, the line of the file, or the function, that it was made
    from."""


@dataclass(frozen=True)
class Incident:
    """A step with a non-finite loss or gradient or a loss spike, and the sequences that it trained on."""

    step: int
    """Number of the step, from 1."""
    reason: str
    """Description of the incident."""
    sequences: tuple[SeenSequence, ...]


@dataclass(frozen=True)
class Incidents:
    """Writes each incident with the documents of its batch to a JSONL file; a `components.training.objective.OnIncident`."""

    path: Path
    sequences: Callable[[int], Iterable[SeenSequence]]
    """Returns the sequences of the global batch of a step (from 0)."""
    command: Callable[[int], str]
    """Returns the command that shows the documents of a step (from 1)."""

    def __call__(self, step: int, reason: str) -> None:
        """Add `step` (from 1), unless an earlier attempt has added it, and log the path. If writing fails, training continues."""
        try:
            self._add(step, reason)
        except OSError as error:
            where = f"could not be written to {self.path} ({error.strerror or error})"
        else:
            where = f"are listed in {self.path}"
        logger.warning("step %d: its documents %s; to show them: %s", step, where, self.command(step))

    def _add(self, step: int, reason: str) -> None:
        if step in {incident.step for incident in read_incidents(self.path)}:
            return
        incident = Incident(step=step, reason=reason, sequences=tuple(self.sequences(step - 1)))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            # The line break comes first, because a kill or a full disk may have truncated the previous line
            line_break = b"\n" if stream.tell() else b""
            stream.write(line_break + _line(incident))


def write_incidents(incidents: Iterable[Incident], path: Path) -> None:
    """Write a file with these incidents; no file if there are none."""
    lines = [_line(incident) + b"\n" for incident in incidents]
    if lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(lines))


def read_incidents(path: Path) -> list[Incident]:
    """The incidents so far, sorted by step. A line that was truncated by a kill or a full disk is skipped with a warning."""
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    parsed = [_parsed(line, path) for line in lines if line]
    return sorted((incident for incident in parsed if incident is not None), key=lambda incident: incident.step)


def _line(incident: Incident) -> bytes:
    return json.dumps(encoded(incident), ensure_ascii=False).encode()


def _parsed(line: bytes, path: Path) -> Incident | None:
    try:
        return decoded(Incident, json.loads(line))
    except ValueError:
        logger.warning("%s: skipped an incomplete line: %.60r", path, line)
        return None
