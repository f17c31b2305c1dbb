"""Computes which documents a step of pretraining trained on, and lists those of steps with incidents."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import TRAIN, decoded, encoded
from components.pretraining.packed import PackedBatches

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeenSequence:
    """One sequence of a batch."""

    domain: str
    start: int
    """Offset of its first token in the domain's training tokens."""
    documents: tuple[str, ...]
    """Ids of the documents that overlap it, in order."""


def documents_of(batches: PackedBatches, step: int) -> Iterator[SeenSequence]:
    """The sequences of the global batch of `step` (from 0)."""
    size, length = batches.batch_size, batches.sequence_length
    for domain, start in batches.window_starts(step * size, size):
        yield SeenSequence(domain, start, tuple(batches.reader.documents_at(TRAIN, domain, start, length + 1)))


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
    """Writes each incident with the documents of its batch to a JSONL file."""

    path: Path
    batches: PackedBatches

    def __call__(self, step: int, reason: str) -> None:
        """Add `step` (from 1), unless an earlier attempt has added it, and log the path. If writing fails, training continues."""
        try:
            self._add(step, reason)
        except OSError as error:
            where = f"could not be written to {self.path} ({error.strerror or error})"
        else:
            where = f"are listed in {self.path}"
        logger.warning("step %d: its documents %s; to show them: longrun batch latest %d", step, where, step)

    def _add(self, step: int, reason: str) -> None:
        if step in {incident.step for incident in read_incidents(self.path)}:
            return
        incident = Incident(step=step, reason=reason, sequences=tuple(documents_of(self.batches, step - 1)))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            # The line break comes first, because a kill or a full disk may have truncated the previous line
            line_break = b"\n" if stream.tell() else b""
            stream.write(line_break + json.dumps(encoded(incident), ensure_ascii=False).encode())


def read_incidents(path: Path) -> list[Incident]:
    """The incidents so far, sorted by step. A line that was truncated by a kill or a full disk is skipped with a warning."""
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    parsed = [_parsed(line, path) for line in lines if line]
    return sorted((incident for incident in parsed if incident is not None), key=lambda incident: incident.step)


def _parsed(line: bytes, path: Path) -> Incident | None:
    try:
        return decoded(Incident, json.loads(line))
    except ValueError:
        logger.warning("%s: skipped an incomplete line: %.60r", path, line)
        return None
