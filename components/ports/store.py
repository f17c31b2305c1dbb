"""Where artifacts live: written beside their place, moved in whole, found again by cache key."""

import contextlib
import errno
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from components.artifacts import MANIFEST, Artifact, FileRecord, Manifest, sha256_of_file
from components.errors import DamagedArtifact, MissingArtifact


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteScratch:
    """A folder of an object store for what a step keeps while it is being made."""

    url: str
    """Such as s3://bucket/prefix."""
    endpoint: str = ""
    """URL of an S3 API other than Amazon's."""


class ArtifactStore(Protocol):
    """Keeps artifacts. One place per (step, cache key)."""

    def find(self, step: str, cache_key: str) -> Artifact | None:
        """The finished and whole artifact of that step and key, if there is one. Sizes are checked, not hashes."""
        ...

    def writing(self, step: str) -> AbstractContextManager[Path]:
        """An empty local directory for a step's output, removed at the end unless it was published."""
        ...

    def publish(self, output: Path, manifest: Manifest) -> Artifact:
        """Move `output` with its manifest to its place, whole; `manifest.files` must be what `records_of` says."""
        ...

    def manifest(self, uri: str) -> Manifest:
        """The manifest of an artifact. Raises `MissingArtifact`, `DamagedArtifact` or `NewerFormat`."""
        ...

    def local(self, artifact: Artifact) -> Path:
        """A local directory with the artifact's files. Raises `DamagedArtifact` if its digest or files differ."""
        ...

    def read(self, artifact: Artifact, path: str) -> bytes:
        """One small file without the others. Raises `DamagedArtifact` if the digest or that file differs."""
        ...

    def scratch(self, step: str, cache_key: str) -> Path:
        """A directory that outlives a killed step, for its training checkpoints; removed when the step publishes."""
        ...

    def remote_scratch(self, step: str, cache_key: str) -> RemoteScratch | None:
        """A folder of the store that outlives this machine, for the same; None: the store is on this machine."""
        ...

    def artifacts(self) -> Iterator[Artifact]:
        """Every finished artifact, sorted by URI."""
        ...

    def delete(self, artifact: Artifact) -> None:
        """Remove an artifact, its manifest first."""
        ...

    def differences(self, artifact: Artifact) -> list[str]:
        """What differs from the manifest after hashing every file; empty if nothing does."""
        ...


@dataclass(frozen=True)
class LocalArtifactStore:
    """Artifacts as directories below `root`: `artifacts/STEP/KEY`, written in `writing/`."""

    root: Path

    def find(self, step: str, cache_key: str) -> Artifact | None:
        """The artifact of that step and key, or None where it is missing, cut short or unreadable."""
        uri = self._uri(step, cache_key)
        try:
            manifest = self.manifest(uri)
        except (MissingArtifact, DamagedArtifact):
            return None
        whole = manifest.cache_key == cache_key and not _wrong_sizes(self.root / uri, manifest)
        return Artifact(uri=uri, digest=manifest.digest) if whole else None

    @contextlib.contextmanager
    def writing(self, step: str) -> Iterator[Path]:
        """A fresh directory below `writing/`."""
        parent = self.root / "writing"
        parent.mkdir(parents=True, exist_ok=True)
        output = Path(tempfile.mkdtemp(prefix=f"{step}-", dir=parent))
        try:
            yield output
        finally:
            shutil.rmtree(output, ignore_errors=True)

    def publish(self, output: Path, manifest: Manifest) -> Artifact:
        """Write the manifest, flush everything to disk, and rename the directory to its place."""
        (output / MANIFEST).write_bytes(manifest.to_bytes())
        for path in (*output.rglob("*"), output):
            _flush(path)
        uri = self._uri(manifest.step, manifest.cache_key)
        place = self.root / uri
        place.parent.mkdir(parents=True, exist_ok=True)
        with self.writing(manifest.step) as former:
            self._swap(output, place, former)
        _flush(place.parent)
        shutil.rmtree(self.scratch(manifest.step, manifest.cache_key), ignore_errors=True)
        return Artifact(uri=uri, digest=manifest.digest)

    @staticmethod
    def _swap(output: Path, place: Path, former: Path) -> None:
        """Rename `output` to `place` and what was there into `former`: never half of one and half of the other.

        Another writer of the same key may put its own there in between; the last one stays.
        """
        for attempt in itertools.count():
            with contextlib.suppress(FileNotFoundError):
                place.rename(former / str(attempt))
            try:
                output.rename(place)
                return
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise

    def manifest(self, uri: str) -> Manifest:
        """Read `manifest.json` of the directory `uri`."""
        path = self.root / uri / MANIFEST
        try:
            return Manifest.from_bytes(path.read_bytes(), str(path))
        except OSError as error:
            raise MissingArtifact(f"{path}: no finished artifact here; run the step that makes it") from error

    def local(self, artifact: Artifact) -> Path:
        """The directory itself, after its manifest's digest and every listed file were compared."""
        place = self.root / artifact.uri
        manifest = self.manifest(artifact.uri)
        if wrong := self._wrong(artifact, manifest):
            raise DamagedArtifact(f"{place}: {wrong[0]}; make it again with --fresh {manifest.step}")
        return place

    def read(self, artifact: Artifact, path: str) -> bytes:
        """The file's bytes, after the manifest's digest and the file's hash were compared."""
        place, manifest = self.root / artifact.uri, self.manifest(artifact.uri)
        record = manifest.file(path)
        if wrong := wrong_digest(artifact, manifest) or _wrong_size(place, record) or _wrong_hash(place, record):
            raise DamagedArtifact(f"{place}: {wrong}; make it again with --fresh {manifest.step}")
        return (place / path).read_bytes()

    def scratch(self, step: str, cache_key: str) -> Path:
        """`scratch/STEP/KEY`; not created here."""
        return self.root / "scratch" / step / cache_key[:16]

    def remote_scratch(self, step: str, cache_key: str) -> None:
        """None."""

    def artifacts(self) -> Iterator[Artifact]:
        """Every directory below `artifacts/` whose manifest can be read. Raises `NewerFormat`."""
        for path in sorted(self.root.glob(f"artifacts/*/*/{MANIFEST}")):
            uri = path.parent.relative_to(self.root).as_posix()
            with contextlib.suppress(MissingArtifact, DamagedArtifact):
                yield Artifact(uri=uri, digest=self.manifest(uri).digest)

    def delete(self, artifact: Artifact) -> None:
        """Remove the manifest, then the directory."""
        (self.root / artifact.uri / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.root / artifact.uri, ignore_errors=True)

    def differences(self, artifact: Artifact) -> list[str]:
        """Compare the manifest's digest, then every file's hash, and name files nobody listed."""
        manifest = self.manifest(artifact.uri)
        listed = {record.path for record in manifest.files} | {MANIFEST}
        unlisted = sorted(_names(self.root / artifact.uri) - listed)
        return self._wrong(artifact, manifest) + [f"{name}: not in the manifest" for name in unlisted]

    def _wrong(self, artifact: Artifact, manifest: Manifest) -> list[str]:
        place = self.root / artifact.uri
        found = [wrong for record in manifest.files if (wrong := _wrong_size(place, record) or _wrong_hash(place, record))]
        return [wrong, *found] if (wrong := wrong_digest(artifact, manifest)) else found

    def _uri(self, step: str, cache_key: str) -> str:
        return f"artifacts/{step}/{cache_key[:16]}"


def wrong_digest(artifact: Artifact, manifest: Manifest) -> str:
    """How the manifest is another than the artifact's, or nothing."""
    if manifest.digest == artifact.digest:
        return ""
    return f"{MANIFEST}: digest {manifest.digest[:12]}, expected {artifact.digest[:12]}"


def records_of(output: Path) -> tuple[FileRecord, ...]:
    """Path, hash, size and rows of every file below `output`, sorted by path."""
    return tuple(_record(output, name) for name in sorted(_names(output) - {MANIFEST}))


def _record(output: Path, name: str) -> FileRecord:
    path = output / name
    return FileRecord(path=name, sha256=sha256_of_file(path), size=path.stat().st_size, rows=_rows(path))


def _rows(path: Path) -> int | None:
    if path.suffix != ".parquet":
        return None
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _names(place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}


def _wrong_sizes(place: Path, manifest: Manifest) -> list[str]:
    return [wrong for record in manifest.files if (wrong := _wrong_size(place, record))]


def _wrong_size(place: Path, record: FileRecord) -> str:
    path = place / record.path
    if not path.is_file():
        return f"{record.path}: missing"
    size = path.stat().st_size
    return "" if size == record.size else f"{record.path}: {size} bytes, the manifest says {record.size}"


def _wrong_hash(place: Path, record: FileRecord) -> str:
    return "" if sha256_of_file(place / record.path) == record.sha256 else f"{record.path}: sha256 differs from the manifest"


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
