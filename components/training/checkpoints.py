"""Training checkpoints that are whole or do not exist: written beside their place, flushed, hashed, then renamed.

ROOT/step-00000100/manifest.json    step, identity, world size, sha256 of every other file
ROOT/step-00000100/history.jsonl    one row per step so far
ROOT/step-00000100/state/           what the engine saved, one file or more per rank
ROOT/latest                         a link to the newest
"""

import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.distributed as dist

from components.artifacts import sha256_of_file
from components.errors import CheckpointError

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
HISTORY = "history.jsonl"
STAGING = "writing"
Row = Mapping[str, float]


@dataclass(frozen=True)
class Found:
    """Where training goes on."""

    directory: Path | None
    """The newest whole checkpoint; None: training begins afresh."""
    step: int
    """Steps that are done."""
    damaged: tuple[str, ...]
    """The newer checkpoints that were skipped, each with what is wrong with it."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training below `root`, which all ranks see. Every method is called by all ranks together."""

    root: Path
    identity: Mapping[str, Any]
    """JSON that says what is trained; a checkpoint of another identity is refused."""
    rank: int
    world_size: int
    keep: int
    """Whole checkpoints that stay."""

    def newest(self) -> Found:
        """The newest checkpoint whose checksums hold; damaged ones are skipped, and removed with a warning.

        Raises:
            CheckpointError: it is of another identity or world size.
        """
        found = self._from_first_rank(self._search)
        if found.directory is not None:
            self._refuse_strangers(found.directory)
        return found

    def save(self, step: int, history: Sequence[Row], save: Callable[[Path], None]) -> None:
        """Let `save` write this rank's files, and make the whole a checkpoint; a kill at any moment leaves the former ones."""
        staging = self.root / STAGING
        self._from_first_rank(lambda: _emptied(staging))
        save(staging)
        dist.barrier()
        self._from_first_rank(lambda: self._publish(staging, step, history))

    def _from_first_rank(self, call: Callable[[], Any]) -> Any:
        """Call on rank 0 alone, and give its result to all: the ranks must not differ in what they see of the disk."""
        box = [call() if self.rank == 0 else None]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def _search(self) -> Found:
        damaged: list[str] = []
        for directory in self._whole():
            wrong = differences(directory)
            if not wrong:
                return Found(directory, _manifest(directory)["step"], tuple(damaged))
            damaged.append(f"{directory.name}: {wrong[0]}")
            logger.warning("checkpoint skipped: %s: %s", directory, wrong[0])
            shutil.rmtree(directory)
        return Found(None, 0, tuple(damaged))

    def _whole(self) -> list[Path]:
        """Renamed directories, newest first."""
        return sorted(self.root.glob("step-*"), reverse=True)

    def _refuse_strangers(self, directory: Path) -> None:
        manifest = _manifest(directory)
        if manifest["identity"] != json.loads(json.dumps(self.identity)):
            raise CheckpointError(f"{directory}: of another model, data or configuration; remove it or use another directory")
        workers = manifest["world_size"]
        if workers != self.world_size:
            raise CheckpointError(f"{directory}: saved by {workers} workers; go on with as many, not {self.world_size}")

    def _publish(self, staging: Path, step: int, history: Sequence[Row]) -> None:
        (staging / HISTORY).write_text("".join(json.dumps(row) + "\n" for row in history))
        paths = [path for path in sorted(staging.rglob("*")) if path.is_file()]
        files = {path.relative_to(staging).as_posix(): sha256_of_file(path) for path in paths}
        content = {"step": step, "identity": self.identity, "world_size": self.world_size, "files": files}
        (staging / MANIFEST).write_text(json.dumps(content, indent=1))
        for path in [*paths, staging / MANIFEST, *(p for p in staging.rglob("*") if p.is_dir()), staging]:
            _flush(path)
        place = self.root / f"step-{step:08d}"
        staging.rename(place)
        self._point_to(place)
        for old in self._whole()[self.keep :]:
            shutil.rmtree(old)

    def _point_to(self, place: Path) -> None:
        link = self.root / "latest.new"
        link.unlink(missing_ok=True)
        link.symlink_to(place.name)
        link.replace(self.root / "latest")
        _flush(self.root)


def differences(directory: Path) -> list[str]:
    """What is wrong with a checkpoint after hashing its files; empty if nothing is."""
    try:
        files = _manifest(directory)["files"]
    except (OSError, ValueError, KeyError) as error:
        return [f"{MANIFEST} cannot be read ({error})"]
    missing = [f"{name} is missing" for name in files if not (directory / name).is_file()]
    return missing or [f"{name} was changed" for name, digest in files.items() if sha256_of_file(directory / name) != digest]


def read_history(directory: Path) -> list[Row]:
    """The rows of the steps before the checkpoint."""
    return [json.loads(line) for line in (directory / HISTORY).read_text().splitlines()]


def _manifest(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / MANIFEST).read_text())
    return content


def _emptied(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
