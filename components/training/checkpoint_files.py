"""Training checkpoints on disk: whole or not there, named in `latest`, and written by one attempt at a time.

ROOT/step-00000100/manifest.json            format, step, identity, world size, sizes of the parameters, sha256 of the other files
ROOT/step-00000100/history.jsonl            one row per step so far
ROOT/step-00000100/rank-00000.safetensors   what that worker keeps of the state
ROOT/latest                                 a link to the newest whole one
ROOT/attempt                                number of the attempt that may write; ROOT/lock is held while it is looked at
ROOT/writing-00003-00000100/                what attempt 3 is writing
"""

import contextlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from components.artifacts import sha256_of_file
from components.errors import CheckpointError, SupersededAttempt

MANIFEST = "manifest.json"
HISTORY = "history.jsonl"
LATEST = "latest"
FORMAT = 2
"""Format 1 was DeepSpeed's own, and of one number of workers."""

LOCK_SECONDS = 60.0
"""Longest wait for the lock, which is held for some renames: longer means a worker that hangs in between."""

STRANGER = "of another model, data or configuration"
LENGTH = "steps"
"""The part of an identity in which a training may differ from the trunk that it branches from."""

Row = Mapping[str, float]


@dataclass(frozen=True)
class Attempt:
    """The right to write below `root`, until a later attempt claims it: a fencing token (Kleppmann, "How to do distributed
    locking", 2016)."""

    root: Path
    number: int

    @classmethod
    def claim(cls, root: Path) -> "Attempt":
        """Take the right over from whoever had it, and remove what it was writing.

        Raises:
            CheckpointError: `root` cannot be written, or its lock is not let go.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            with _locked(root):
                attempt = cls(root, _claimed(root) + 1)
                _write_beside(root / "attempt", str(attempt.number))
                for left in root.glob("writing-*"):
                    shutil.rmtree(left, ignore_errors=True)
        except OSError as error:
            raise CheckpointError(f"{root}: checkpoints cannot be written there ({error.strerror})") from error
        return attempt

    def staging(self, step: int) -> Path:
        """Where the checkpoint of `step` is written; no other attempt's place."""
        return self.root / f"writing-{self.number:05d}-{step:08d}"

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Nobody can claim the right inside the block. Raises `SupersededAttempt` if somebody has."""
        with _locked(self.root):
            if (newest := _claimed(self.root)) != self.number:
                raise SupersededAttempt(f"{self.root}: attempt {newest} writes checkpoints now; attempt {self.number} ends")
            yield


def publish(attempt: Attempt, staging: Path, manifest: Mapping[str, Any], *, keep: int, permanent: Collection[int]) -> Path:
    """Make what stands in `staging` the checkpoint of `manifest["step"]`; its place.

    Of all that there are, the newest `keep` stay, and those of `permanent` steps.

    Raises:
        OSError: it cannot be written; the former checkpoints are untouched.
        SupersededAttempt: a later attempt has taken over.
    """
    (staging / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for path in (staging / MANIFEST, staging / HISTORY, staging):
        flush(path)
    place = attempt.root / f"step-{manifest['step']:08d}"
    with attempt.holding():
        if place.exists():
            raise FileExistsError(f"{place} exists")
        staging.rename(place)
        _point_to(place)
        temporary = [path for path in published(attempt.root) if step_of(path) not in permanent]
        for old in temporary[keep:]:
            shutil.rmtree(old)
    return place


def adopt(attempt: Attempt, staging: Path, step: int) -> None:
    """Make what stands in `staging`, manifest and all, the checkpoint of `step`, in the place of another one.

    Raises:
        SupersededAttempt: a later attempt has taken over.
    """
    place = attempt.root / f"step-{step:08d}"
    with attempt.holding():
        shutil.rmtree(place, ignore_errors=True)
        staging.rename(place)
        _point_to(published(attempt.root)[0])


def published(root: Path) -> list[Path]:
    """Renamed directories, newest first."""
    return sorted(root.glob("step-*"), reverse=True)


def step_of(directory: Path) -> int:
    """The step that a directory is named after."""
    return int(directory.name.removeprefix("step-"))


def differences(directory: Path, identity: Mapping[str, Any], *, part: int = 0, parts: int = 1) -> list[str]:
    """What is wrong with a checkpoint; empty if nothing is. Of its files every `parts`-th is hashed, from `part` on."""
    try:
        manifest = read_manifest(directory)
        files, found, version = manifest["files"], manifest["identity"], manifest.get("format", 1)
    except (OSError, ValueError, KeyError) as error:
        return [f"{MANIFEST} cannot be read ({error})"]
    if version != FORMAT:
        return [f"of format {version}, not {FORMAT}"]
    if found != json.loads(json.dumps(identity)):
        return [STRANGER]
    missing = [f"{name} is missing" for name in files if not (directory / name).is_file()]
    mine = list(files.items())[part::parts]
    return missing or [f"{name} was changed" for name, digest in mine if sha256_of_file(directory / name) != digest]


def trunk_differences(directory: Path, identity: Mapping[str, Any], *, part: int = 0, parts: int = 1) -> list[str]:
    """What keeps a training of that identity from branching from a checkpoint: its damage, or each value that is another."""
    try:
        found = read_manifest(directory)["identity"]
    except (OSError, ValueError, KeyError):
        found = {}
    expected = json.loads(json.dumps(identity)) | {name: found[name] for name in (LENGTH,) if name in found}
    apart = unlike(found, expected) if found else []
    return apart or differences(directory, expected, part=part, parts=parts)


def unlike(found: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Each value in which two identities differ, by its dotted name: "plan.batch_size is 8, not 4"."""
    names: list[str] = []
    for name in dict.fromkeys((*found, *wanted)):
        left, right = found.get(name), wanted.get(name)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            names += unlike(left, right, f"{prefix}{name}.")
        elif left != right:
            names.append(f"{prefix}{name} is {left!r}, not {right!r}")
    return names


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest. `OSError` or `ValueError` where it is none."""
    content: dict[str, Any] = json.loads((directory / MANIFEST).read_text())
    return content


def read_history(directory: Path) -> list[Row]:
    """The rows of the steps before the checkpoint."""
    return [json.loads(line) for line in (directory / HISTORY).read_text().splitlines()]


def state_files(directory: Path) -> list[Path]:
    """What the workers wrote, in the order of their ranks."""
    return sorted(directory.glob("rank-*.safetensors"))


def state_file(directory: Path, rank: int) -> Path:
    """What that worker writes."""
    return directory / f"rank-{rank:05d}.safetensors"


def flush(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    try:
        with FileLock(root / "lock", timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise CheckpointError(f"{root}: its lock was not free for {LOCK_SECONDS:.0f} s; end the other training there") from error


def _claimed(root: Path) -> int:
    path = root / "attempt"
    return int(path.read_text()) if path.is_file() else 0


def _write_beside(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    flush(beside)
    beside.replace(path)


def _point_to(place: Path) -> None:
    link = place.parent / f"{LATEST}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(place.name)
    link.replace(place.parent / LATEST)
    flush(place.parent)
