"""Training checkpoints on disk: whole or not there, named in `latest`, and written by one attempt at a time.

ROOT/step-00000100/manifest.json            format, step, identity, world size, sizes of the parameters, xxh3_128 of the other
                                            files and of itself
ROOT/step-00000100/history.jsonl            one row per step so far
ROOT/step-00000100/rank-00000.safetensors   what that worker keeps of the state
ROOT/latest                                 a link to the newest whole one
ROOT/attempt                                number of the attempt that may write, and when the first one began (Unix time);
                                            ROOT/lock is held while it is looked at
ROOT/writing-00003-00000100/                what attempt 3 is writing, or removing
ROOT/damaged-step-00000100/                 refused for an older one: gone with the first checkpoint of a later step
ROOT/refused-step-00000100/                 refused because it is of another training: stays
"""

import contextlib
import json
import os
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
from components.training.checkpoints.direct_files import checksum_of

MANIFEST = "manifest.json"
HISTORY = "history.jsonl"
LATEST = "latest"
FORMAT = 4
"""Format 1 was DeepSpeed's own, and of one number of workers; format 2 had no checksum of its manifest, format 3 sha256."""

_NAME = re.compile(r"step-\d{8,}")
_SEAL = "xxh3_128"
"""The manifest's own: of its other entries as JSON with sorted keys."""

LOCK_SECONDS = 60.0
"""Longest wait for the lock, which is held for some renames: longer means a worker that hangs in between."""

DAMAGED, REFUSED = "damaged-", "refused-"
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
    began: float = 0.0
    """Unix time at which the first attempt here claimed it."""

    @classmethod
    def claim(cls, root: Path) -> "Attempt":
        """Take the right over from whoever had it, and remove what it was writing.

        Raises:
            CheckpointError: `root` cannot be written, or its lock is not let go.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            with _locked(root):
                number, began = _claimed(root)
                attempt = cls(root, number + 1, began)
                _write_beside(root / "attempt", f"{attempt.number} {began}")
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
            if (newest := _claimed(self.root)[0]) != self.number:
                raise SupersededAttempt(f"{self.root}: attempt {newest} writes checkpoints now; attempt {self.number} ends")
            yield


def publish(attempt: Attempt, staging: Path, manifest: Mapping[str, Any], *, keep: int, permanent: Collection[int]) -> Path:
    """Make what stands in `staging` the checkpoint of `manifest["step"]`; its place.

    Of all that there are, the newest `keep` stay, and those of `permanent` steps.

    Raises:
        OSError: it cannot be written; the former checkpoints are untouched.
        SupersededAttempt: a later attempt has taken over.
    """
    write_manifest(staging, manifest)
    for path in (staging / MANIFEST, staging / HISTORY, staging):
        flush(path)
    place = attempt.root / f"step-{manifest['step']:08d}"
    with attempt.holding():
        if place.exists():
            raise FileExistsError(f"{place} exists")
        staging.rename(place)
        _point_to(place)
        temporary = [path for path in published(attempt.root) if step_of(path) not in permanent]
        damaged = [path for path in attempt.root.glob(f"{DAMAGED}*") if path.name <= DAMAGED + place.name]
        for old in [*temporary[keep:], *damaged]:
            _remove(attempt, old)
    return place


def adopt(attempt: Attempt, staging: Path, step: int) -> None:
    """Make what stands in `staging`, manifest and all, the checkpoint of `step`, in the place of another one.

    Raises:
        SupersededAttempt: a later attempt has taken over.
    """
    place = attempt.root / f"step-{step:08d}"
    with attempt.holding():
        if place.exists():
            _rename(place, DAMAGED)
        staging.rename(place)
        _point_to(published(attempt.root)[0])


def go_on_from(attempt: Attempt, whole: Path, refused: Mapping[Path, str]) -> None:
    """Set those that were refused aside, so that their steps are free, and point to the one that training goes on from.

    None is removed: what is wrong may be with the disk, today.

    Args:
        attempt: the one that goes on.
        whole: its checkpoint.
        refused: others, and what is wrong with each.

    Raises:
        CheckpointError: they cannot be renamed.
        SupersededAttempt: a later attempt has taken over.
    """
    try:
        with attempt.holding():
            for directory, wrong in refused.items():
                _rename(directory, REFUSED if wrong.startswith(STRANGER) else DAMAGED)
            _point_to(whole)
    except OSError as error:
        raise CheckpointError(f"{attempt.root}: checkpoints cannot be set aside there ({error})") from error


def published(root: Path) -> list[Path]:
    """Renamed directories, newest first."""
    return sorted((path for path in root.glob("step-*") if _NAME.fullmatch(path.name)), key=step_of, reverse=True)


def step_of(place: PurePath | str) -> int:
    """The step that a checkpoint's directory is named after, or its place in a store."""
    return int(PurePath(place).name.split("-")[1])


def differences(directory: Path, identity: Mapping[str, Any], *, part: int = 0, parts: int = 1) -> list[str]:
    """What is wrong with a checkpoint; empty if nothing is. Of its files every `parts`-th is hashed, from `part` on."""
    try:
        manifest = read_manifest(directory)
    except CheckpointError as error:
        return [str(error).removeprefix(f"{directory}/")]
    if apart := unlike(manifest["identity"], json.loads(json.dumps(identity))):
        return [f"{STRANGER}: {apart[0]}"]
    mine = list(manifest["files"].items())[part::parts]
    return [wrong for name, checksum in mine if (wrong := _damage(directory / name, checksum))]


def _damage(path: Path, checksum: str) -> str:
    try:
        return "" if checksum_of(path) == checksum else f"{path.name} was changed"
    except FileNotFoundError:
        return f"{path.name} is missing"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror})"


def trunk_differences(directory: Path, identity: Mapping[str, Any], *, part: int = 0, parts: int = 1) -> list[str]:
    """What keeps a training of that identity from branching from a checkpoint: its damage, or each value that is another."""
    try:
        found = read_manifest(directory)["identity"]
    except CheckpointError:
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
    """The manifest. Raises `CheckpointError` where there is none, or it is damaged or of another format."""
    try:
        return opened_manifest((directory / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{directory / MANIFEST} cannot be read ({error})") from error


def opened_manifest(content: bytes) -> dict[str, Any]:
    """What a manifest says. Raises `ValueError` where it is of another format, or its own checksum does not hold."""
    manifest = json.loads(content)
    version = manifest.get("format", 1) if isinstance(manifest, dict) else None
    if version != FORMAT:
        raise ValueError(f"of format {version}, not {FORMAT}")
    if manifest.pop(_SEAL, None) != _seal(manifest):
        raise ValueError("its own checksum does not hold")
    return dict(manifest)


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest with its checksum; it is as JSON gives it back."""
    (directory / MANIFEST).write_text(json.dumps({**manifest, _SEAL: _seal(manifest)}, indent=1))


def _seal(manifest: Mapping[str, Any]) -> str:
    same = json.loads(json.dumps(manifest))  # keys that are no texts are sorted as texts
    return xxhash.xxh3_128_hexdigest(json.dumps(same, sort_keys=True).encode())


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


def _claimed(root: Path) -> tuple[int, float]:
    """The number of the last attempt, and when the first one began; 0 and now where there was none."""
    path = root / "attempt"
    if not path.is_file():
        return 0, time.time()
    try:
        number, began = path.read_text().split()
        return int(number), float(began)
    except ValueError as error:
        raise CheckpointError(f"{path}: not an attempt; remove it once nothing else trains below {root}") from error


def _write_beside(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    flush(beside)
    beside.replace(path)


def _rename(directory: Path, prefix: str) -> None:
    place = directory.with_name(prefix + directory.name)
    shutil.rmtree(place, ignore_errors=True)
    directory.rename(place)


def _remove(attempt: Attempt, directory: Path) -> None:
    """By another name first, so that none is there in part; what the disk will not give up goes when the next attempt begins."""
    doomed = attempt.root / f"writing-{attempt.number:05d}-{directory.name}"
    directory.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _point_to(place: Path) -> None:
    link = place.parent / f"{LATEST}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(place.name)
    link.replace(place.parent / LATEST)
    flush(place.parent)
