"""Which documents a step of pretraining saw, from arithmetic: nothing has to be kept, nothing replayed."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from components.pretraining.packed import PackedBatches


@dataclass(frozen=True)
class SeenSequence:
    """One sequence of a batch."""

    domain: str
    start: int
    """Its first token among the domain's training tokens."""
    documents: tuple[str, ...]
    """Ids of the documents that it touches, in order."""


def documents_of(batches: PackedBatches, step: int) -> Iterator[SeenSequence]:
    """The sequences of the global batch of `step` (from 0)."""
    size, length = batches.batch_size, batches.sequence_length
    for domain, start in batches.places(step * size, size):
        yield SeenSequence(domain, start, tuple(batches.reader.documents_at("train", domain, start, length + 1)))


@dataclass(frozen=True)
class Incidents:
    """Writes down the documents of batches in which something went wrong: a JSON line each."""

    path: Path
    batches: PackedBatches

    def __call__(self, step: int, reason: str) -> None:
        """Add `step` (from 1), unless a former attempt has."""
        if step in {line["step"] for line in read_incidents(self.path)}:
            return
        line = {"step": step, "reason": reason, "sequences": [asdict(found) for found in documents_of(self.batches, step - 1)]}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as stream:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_incidents(path: Path) -> list[dict[str, object]]:
    """The incidents so far, by step."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return sorted((json.loads(line) for line in lines), key=lambda line: line["step"])
