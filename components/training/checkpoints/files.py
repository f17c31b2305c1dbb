"""The directory of a training's checkpoints: published atomically, by one attempt at a time.

ROOT/step-00000100/manifest.json            format, step, identity, number of workers, parameter sizes, xxh3_128 of the other
                                            files and of itself
ROOT/step-00000100/history.jsonl            one row per step so far
ROOT/step-00000100/rank-00000.safetensors   the state that this worker holds
ROOT/latest                                 symbolic link to the newest checkpoint
ROOT/attempt                                number of the attempt that may write, and start time of the first attempt (Unix
                                            time); protected by ROOT/lock
ROOT/writing-00003-00000100/                directory that attempt 3 is writing or deleting
ROOT/damaged-step-00000100/                 damaged checkpoint, skipped when resuming; deleted once a later step is published
ROOT/refused-step-00000100/                 checkpoint of another training run; kept
"""

import contextlib
import json
import re
import shutil
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import xxhash
from filelock import FileLock, Timeout

from components.errors import CheckpointError, SupersededAttempt
from components.files import flush, write_text
from components.training.checkpoints.direct_files import checksum_of

MANIFEST = "manifest.json"
HISTORY = "history.jsonl"
LATEST = "latest"
FORMAT = 4
"""Version of the checkpoint format. Earlier versions: 1 was DeepSpeed's own format, for a fixed number of workers; 2 had no
checksum of the manifest; 3 used sha256."""

_NAME = re.compile(r"step-\d{8,}")
_SEAL = "xxh3_128"
"""Key of the manifest's own checksum, computed over its other entries as JSON with sorted keys."""

LOCK_TIMEOUT = 60.0
"""Seconds to wait for the lock. It is held only for a few renames, so a longer wait means that a worker hangs."""

DAMAGED, REFUSED = "damaged-", "refused-"
OTHER_TRAINING = "belongs to another model, data or configuration"
LENGTH = "steps"
"""The only entry of the identity in which a training run may differ from the trunk that it branches from."""

Row = Mapping[str, float]


@dataclass(frozen=True)
class Attempt:
    """The right of one attempt to write below `root`, until a later attempt claims it.

    A fencing token (Kleppmann, "How to do distributed locking", 2016).
    """

    root: Path
    """Directory of the checkpoints."""
    number: int
    """Number of the attempt, from 1."""
    started: float = 0.0
    """Unix time at which the first attempt claimed `root`."""

    @classmethod
    def claim(cls, root: Path) -> "Attempt":
        """Start a new attempt, which takes over from the previous one, and delete unfinished checkpoints.

        Raises:
            CheckpointError: `root` cannot be written, or its lock is held for more than `LOCK_TIMEOUT`.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            with _locked(root):
                number, started = _claimed(root)
                attempt = cls(root, number + 1, started)
                write_text(root / "attempt", f"{attempt.number} {started}", durable=True)
                for unfinished in root.glob("writing-*"):
                    shutil.rmtree(unfinished, ignore_errors=True)
        except OSError as error:
            raise CheckpointError(f"{root}: checkpoints cannot be written there ({error.strerror})") from error
        return attempt

    def staging(self, step: int) -> Path:
        """The directory in which this attempt writes the checkpoint of `step`, before it is published."""
        return self.root / f"writing-{self.number:05d}-{step:08d}"

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Hold the lock, so that no other attempt can start. Raises `SupersededAttempt` if a later one has started."""
        with _locked(self.root):
            if (newest := _claimed(self.root)[0]) != self.number:
                raise SupersededAttempt(f"{self.root}: attempt {newest} has taken over; attempt {self.number} stops")
            yield


def publish(attempt: Attempt, staging: Path, manifest: Mapping[str, Any], *, keep: int, permanent: Collection[int]) -> Path:
    """Write the manifest, publish the directory `staging` as the checkpoint of `manifest["step"]`, and return its new path.

    Then deletes old checkpoints, except the newest `keep` and those of `permanent` steps.

    Raises:
        OSError: it cannot be written; earlier checkpoints are untouched.
        SupersededAttempt: a later attempt has taken over.
    """
    write_manifest(staging, manifest)
    for path in (staging / MANIFEST, staging / HISTORY, staging):
        flush(path)
    directory = attempt.root / f"step-{manifest['step']:08d}"
    with attempt.holding():
        if directory.exists():
            raise FileExistsError(f"{directory} exists")
        staging.rename(directory)
        _point_to(directory)
        temporary = [path for path in published(attempt.root) if step_of(path) not in permanent]
        damaged = [path for path in attempt.root.glob(f"{DAMAGED}*") if path.name <= DAMAGED + directory.name]
        for old in [*temporary[keep:], *damaged]:
            _remove(attempt, old)
    return directory


def adopt(attempt: Attempt, staging: Path, step: int) -> None:
    """Publish the directory `staging`, which already has a manifest, as the checkpoint of `step`.

    An existing checkpoint of that step is renamed to `damaged-…`.

    Raises:
        SupersededAttempt: a later attempt has taken over.
    """
    directory = attempt.root / f"step-{step:08d}"
    with attempt.holding():
        if directory.exists():
            _rename(directory, DAMAGED)
        staging.rename(directory)
        _point_to(published(attempt.root)[0])


def resume_from(attempt: Attempt, whole: Path, refused: Mapping[Path, str]) -> None:
    """Rename the refused checkpoints, so that their steps can be written again, and point `latest` to the one to resume from.

    Nothing is deleted, because a disk error may be transient.

    Args:
        attempt: the attempt that resumes.
        whole: the checkpoint that it resumes from.
        refused: newer checkpoints, with the reason why each was refused.

    Raises:
        CheckpointError: the checkpoints cannot be renamed.
        SupersededAttempt: a later attempt has taken over.
    """
    try:
        with attempt.holding():
            for directory, wrong in refused.items():
                _rename(directory, REFUSED if wrong.startswith(OTHER_TRAINING) else DAMAGED)
            _point_to(whole)
    except OSError as error:
        raise CheckpointError(f"{attempt.root}: refused checkpoints cannot be renamed ({error})") from error


def published(root: Path) -> list[Path]:
    """The directories of the published checkpoints, newest first."""
    return sorted((path for path in root.glob("step-*") if _NAME.fullmatch(path.name)), key=step_of, reverse=True)


def step_of(path: PurePath | str) -> int:
    """The step in the name of a checkpoint's directory or folder in a store."""
    return int(PurePath(path).name.split("-")[1])


def differences(directory: Path, identity: Mapping[str, Any], *, rank: int = 0, world_size: int = 1) -> list[str]:
    """Reasons why a checkpoint cannot be used; empty if it can. Each worker hashes every `world_size`-th file."""
    try:
        manifest = read_manifest(directory)
    except CheckpointError as error:
        return [str(error).removeprefix(f"{directory}/")]
    if unequal := unequal_values(manifest["identity"], json.loads(json.dumps(identity))):
        return [f"{OTHER_TRAINING}: {unequal[0]}"]
    mine = list(manifest["files"].items())[rank::world_size]
    return [wrong for name, checksum in mine if (wrong := _damage(directory / name, checksum))]


def _damage(path: Path, checksum: str) -> str:
    try:
        return "" if checksum_of(path) == checksum else f"{path.name} was changed"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"


def trunk_differences(directory: Path, identity: Mapping[str, Any], *, rank: int = 0, world_size: int = 1) -> list[str]:
    """Reasons why a training with that identity cannot branch from a checkpoint: damage, or differing values. Empty if it can."""
    try:
        trunk = read_manifest(directory)["identity"]
    except CheckpointError:
        trunk = {}
    expected = json.loads(json.dumps(identity)) | {name: trunk[name] for name in (LENGTH,) if name in trunk}
    unequal = unequal_values(trunk, expected) if trunk else []
    return unequal or differences(directory, expected, rank=rank, world_size=world_size)


def unequal_values(saved: Mapping[str, Any], expected: Mapping[str, Any], prefix: str = "") -> list[str]:
    """A message for each value in which two identities differ, such as "plan.batch_size is 8, not 4"."""
    messages: list[str] = []
    for name in dict.fromkeys((*saved, *expected)):
        theirs, ours = saved.get(name), expected.get(name)
        if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
            messages += unequal_values(theirs, ours, f"{prefix}{name}.")
        elif theirs != ours:
            messages.append(f"{prefix}{name} is {theirs!r}, not {ours!r}")
    return messages


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read a checkpoint's manifest. Raises `CheckpointError` if it is missing, damaged or has another format."""
    try:
        return parse_manifest((directory / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{directory / MANIFEST} cannot be read ({error})") from error


def parse_manifest(content: bytes) -> dict[str, Any]:
    """The entries of a manifest. Raises `ValueError` if it has another format or its checksum does not match."""
    manifest = json.loads(content)
    version = manifest.get("format", 1) if isinstance(manifest, dict) else None
    if version != FORMAT:
        raise ValueError(f"format {version}, expected {FORMAT}")
    if manifest.pop(_SEAL, None) != _seal(manifest):
        raise ValueError("its checksum does not match")
    return dict(manifest)


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest with its own checksum."""
    (directory / MANIFEST).write_text(json.dumps({**manifest, _SEAL: _seal(manifest)}, indent=1))


def _seal(manifest: Mapping[str, Any]) -> str:
    same = json.loads(json.dumps(manifest))  # keys that are numbers become strings before they are sorted
    return xxhash.xxh3_128_hexdigest(json.dumps(same, sort_keys=True).encode())


def read_history(directory: Path) -> list[Row]:
    """The rows of the steps before the checkpoint."""
    return [json.loads(line) for line in (directory / HISTORY).read_text().splitlines()]


def state_files(directory: Path) -> list[Path]:
    """The files that the workers wrote, in the order of ranks."""
    return sorted(directory.glob("rank-*.safetensors"))


def state_file(directory: Path, rank: int) -> Path:
    """The file that the worker of that rank writes."""
    return directory / f"rank-{rank:05d}.safetensors"


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    try:
        with FileLock(root / "lock", timeout=LOCK_TIMEOUT):
            yield
    except Timeout as error:
        raise CheckpointError(f"{root}: locked for {LOCK_TIMEOUT:.0f} s by another training; stop that training first") from error


def _claimed(root: Path) -> tuple[int, float]:
    """The number of the last attempt and the start time of the first one; 0 and the current time if there was none."""
    path = root / "attempt"
    if not path.is_file():
        return 0, time.time()
    try:
        number, started = path.read_text().split()
        return int(number), float(started)
    except ValueError as error:
        raise CheckpointError(
            f"{path}: invalid content; delete the file after making sure that no other training uses {root}"
        ) from error


def _rename(directory: Path, prefix: str) -> None:
    target = directory.with_name(prefix + directory.name)
    shutil.rmtree(target, ignore_errors=True)
    directory.rename(target)


def _remove(attempt: Attempt, directory: Path) -> None:
    """Delete a checkpoint. It is renamed first, so that it is never seen incomplete; the next attempt deletes what remains."""
    doomed = attempt.root / f"writing-{attempt.number:05d}-{directory.name}"
    directory.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _point_to(directory: Path) -> None:
    link = directory.parent / f"{LATEST}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(directory.name)
    link.replace(directory.parent / LATEST)
    flush(directory.parent)
