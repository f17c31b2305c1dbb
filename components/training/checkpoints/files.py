"""Training checkpoints on disk: whole or absent, the newest named by `latest`, and written by one attempt at a time.

ROOT/step-00000100/manifest.json            format, step, identity, world size, sizes of the parameters, xxh3_128 of the other
                                            files and of itself
ROOT/step-00000100/history.jsonl            one row per step so far
ROOT/step-00000100/rank-00000.safetensors   what that worker keeps of the state
ROOT/latest                                 a link to the newest whole one
ROOT/attempt                                number of the attempt that may write, and when the first one started (Unix time);
                                            ROOT/lock is held while it is read or written
ROOT/writing-00003-00000100/                what attempt 3 is writing, or removing
ROOT/damaged-step-00000100/                 damaged: training resumed from an older one; removed with the first checkpoint of a
                                            later step
ROOT/refused-step-00000100/                 refused because it is of another training: kept
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
"""Format 1 was DeepSpeed's own, and of one number of workers; format 2 had no checksum of its manifest, format 3 sha256."""

_NAME = re.compile(r"step-\d{8,}")
_SEAL = "xxh3_128"
"""The manifest's own checksum: of its other entries as JSON with sorted keys."""

LOCK_TIMEOUT = 60.0
"""Seconds to wait for the lock, which is held for a few renames: a longer wait means a worker that hangs."""

DAMAGED, REFUSED = "damaged-", "refused-"
OTHER_TRAINING = "of another model, data or configuration"
LENGTH = "steps"
"""The entry of an identity in which a training may differ from the trunk that it branches from."""

Row = Mapping[str, float]


@dataclass(frozen=True)
class Attempt:
    """The right to write below `root`, until a later attempt claims it: a fencing token (Kleppmann, "How to do distributed
    locking", 2016)."""

    root: Path
    number: int
    started: float = 0.0
    """Unix time at which the first attempt claimed `root`."""

    @classmethod
    def claim(cls, root: Path) -> "Attempt":
        """Take the right over from the attempt before, and remove what that was writing.

        Raises:
            CheckpointError: `root` cannot be written, or its lock is not let go.
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
        """The directory in which this attempt writes the checkpoint of `step`; no other attempt's."""
        return self.root / f"writing-{self.number:05d}-{step:08d}"

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Hold the lock, so that no other attempt can claim the right. Raises `SupersededAttempt` if one has."""
        with _locked(self.root):
            if (newest := _claimed(self.root)[0]) != self.number:
                raise SupersededAttempt(f"{self.root}: attempt {newest} writes checkpoints now; attempt {self.number} ends")
            yield


def publish(attempt: Attempt, staging: Path, manifest: Mapping[str, Any], *, keep: int, permanent: Collection[int]) -> Path:
    """Make the directory `staging` the checkpoint of `manifest["step"]`; its new path.

    Of all checkpoints the newest `keep` are kept, and those of `permanent` steps.

    Raises:
        OSError: it cannot be written; the former checkpoints are untouched.
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
    """Make the directory `staging`, which has its manifest, the checkpoint of `step`; one of that step is set aside as damaged.

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
    """Set the refused checkpoints aside, so that their steps are free, and point `latest` to the one that training resumes from.

    None is removed: the fault may be the disk's, and pass.

    Args:
        attempt: the one that resumes.
        whole: the checkpoint it resumes from.
        refused: newer checkpoints, and what is wrong with each.

    Raises:
        CheckpointError: they cannot be renamed.
        SupersededAttempt: a later attempt has taken over.
    """
    try:
        with attempt.holding():
            for directory, wrong in refused.items():
                _rename(directory, REFUSED if wrong.startswith(OTHER_TRAINING) else DAMAGED)
            _point_to(whole)
    except OSError as error:
        raise CheckpointError(f"{attempt.root}: checkpoints cannot be set aside there ({error})") from error


def published(root: Path) -> list[Path]:
    """The published checkpoints, newest first."""
    return sorted((path for path in root.glob("step-*") if _NAME.fullmatch(path.name)), key=step_of, reverse=True)


def step_of(path: PurePath | str) -> int:
    """The step that a checkpoint's directory, or its name in a store, is named after."""
    return int(PurePath(path).name.split("-")[1])


def differences(directory: Path, identity: Mapping[str, Any], *, rank: int = 0, world_size: int = 1) -> list[str]:
    """What is wrong with a checkpoint; empty if nothing is. Each worker hashes every `world_size`-th file."""
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
    """What keeps a training of that identity from branching from a checkpoint: its damage, or the values that differ."""
    try:
        trunk = read_manifest(directory)["identity"]
    except CheckpointError:
        trunk = {}
    expected = json.loads(json.dumps(identity)) | {name: trunk[name] for name in (LENGTH,) if name in trunk}
    unequal = unequal_values(trunk, expected) if trunk else []
    return unequal or differences(directory, expected, rank=rank, world_size=world_size)


def unequal_values(saved: Mapping[str, Any], expected: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Each value in which two identities differ, by its dotted name: "plan.batch_size is 8, not 4"."""
    messages: list[str] = []
    for name in dict.fromkeys((*saved, *expected)):
        theirs, ours = saved.get(name), expected.get(name)
        if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
            messages += unequal_values(theirs, ours, f"{prefix}{name}.")
        elif theirs != ours:
            messages.append(f"{prefix}{name} is {theirs!r}, not {ours!r}")
    return messages


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest. Raises `CheckpointError` where there is none, or it is damaged or of another format."""
    try:
        return parse_manifest((directory / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{directory / MANIFEST} cannot be read ({error})") from error


def parse_manifest(content: bytes) -> dict[str, Any]:
    """The entries of a manifest. Raises `ValueError` where it is of another format, or its own checksum does not hold."""
    manifest = json.loads(content)
    version = manifest.get("format", 1) if isinstance(manifest, dict) else None
    if version != FORMAT:
        raise ValueError(f"of format {version}, not {FORMAT}")
    if manifest.pop(_SEAL, None) != _seal(manifest):
        raise ValueError("its own checksum does not hold")
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
    """The files that the workers wrote, by rank."""
    return sorted(directory.glob("rank-*.safetensors"))


def state_file(directory: Path, rank: int) -> Path:
    """The file that a worker writes."""
    return directory / f"rank-{rank:05d}.safetensors"


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    try:
        with FileLock(root / "lock", timeout=LOCK_TIMEOUT):
            yield
    except Timeout as error:
        raise CheckpointError(f"{root}: its lock was not free for {LOCK_TIMEOUT:.0f} s; end the other training there") from error


def _claimed(root: Path) -> tuple[int, float]:
    """The number of the last attempt, and when the first one started; 0 and now where there was none."""
    path = root / "attempt"
    if not path.is_file():
        return 0, time.time()
    try:
        number, started = path.read_text().split()
        return int(number), float(started)
    except ValueError as error:
        raise CheckpointError(f"{path}: not an attempt; remove it once nothing else trains below {root}") from error


def _rename(directory: Path, prefix: str) -> None:
    target = directory.with_name(prefix + directory.name)
    shutil.rmtree(target, ignore_errors=True)
    directory.rename(target)


def _remove(attempt: Attempt, directory: Path) -> None:
    """Rename it first, so that no checkpoint is ever incomplete; what cannot be deleted now is when the next attempt starts."""
    doomed = attempt.root / f"writing-{attempt.number:05d}-{directory.name}"
    directory.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _point_to(directory: Path) -> None:
    link = directory.parent / f"{LATEST}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(directory.name)
    link.replace(directory.parent / LATEST)
    flush(directory.parent)
