"""The artifact store: outputs are written apart, moved to their directory whole, and looked up by cache key.

What every store shares is here too: where an artifact and a step's scratch are below the root, and which files are asked for.
"""

import contextlib
import errno
import fnmatch
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from components.artifacts import MANIFEST, Artifact, FileRecord, Manifest, sha256_of_file
from components.errors import DamagedArtifact, MissingArtifact
from components.files import flush
from components.ports.verification import HASHED, VerifiedFiles, size_of, wrong_hash, wrong_size


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteScratch:
    """A folder of an object store for what a step keeps while it is being made."""

    url: str
    """Such as s3://bucket/prefix."""
    endpoint: str = ""
    """URL of an S3 API other than Amazon's."""


class ArtifactStore(Protocol):
    """Keeps artifacts, one for each step and cache key."""

    def find(self, step: str, cache_key: str) -> Artifact | None:
        """The finished artifact of that step and key, if there is one. File sizes are compared, hashes are not."""
        ...

    def writing(self, step: str) -> AbstractContextManager[Path]:
        """An empty local directory for a step's output, removed at the end unless it was published."""
        ...

    def publish(self, output: Path, manifest: Manifest) -> Artifact:
        """Make `output` with its manifest an artifact, whole or not at all; `manifest.files` must be what `records_of` says."""
        ...

    def manifest(self, uri: str) -> Manifest:
        """The manifest of an artifact. Raises `MissingArtifact`, `DamagedArtifact` or `NewerFormat`."""
        ...

    def local(self, artifact: Artifact, only: Sequence[str] = ()) -> Path:
        """A local directory with the artifact's files, or with those `only` that `selected` says; others may be absent.

        What this run or, for files that it has not written, this machine has hashed before is not hashed again.

        Raises:
            DamagedArtifact: the digest or one of these files differs.
            MissingArtifact: there is no such artifact, or no file of it matches a pattern.
        """
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
        uri = artifact_uri(step, cache_key)
        try:
            manifest = self.manifest(uri)
        except (MissingArtifact, DamagedArtifact):
            return None
        whole = manifest.cache_key == cache_key and not any(_wrong_size(self.root / uri, record) for record in manifest.files)
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
        """Write the manifest, flush everything to disk, and rename the directory to its URI."""
        (output / MANIFEST).write_bytes(manifest.to_bytes())
        for path in (*output.rglob("*"), output):
            flush(path)
        uri = artifact_uri(manifest.step, manifest.cache_key)
        directory = self.root / uri
        directory.parent.mkdir(parents=True, exist_ok=True)
        with self.writing(manifest.step) as trash:
            self._swap(output, directory, trash)
        flush(directory.parent)
        shutil.rmtree(self.scratch(manifest.step, manifest.cache_key), ignore_errors=True)
        return Artifact(uri=uri, digest=manifest.digest)

    @staticmethod
    def _swap(output: Path, directory: Path, trash: Path) -> None:
        """Rename `output` to `directory`, and what was there into `trash`: `directory` never mixes files of both.

        Another writer of the same key may put its own there in between; the last one stays.
        """
        for attempt in itertools.count():
            with contextlib.suppress(FileNotFoundError):
                directory.rename(trash / str(attempt))
            try:
                output.rename(directory)
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

    def local(self, artifact: Artifact, only: Sequence[str] = ()) -> Path:
        """The directory itself, after its manifest's digest and the files that are asked for were compared."""
        directory, manifest = self.root / artifact.uri, self.manifest(artifact.uri)
        if wrong := wrong_digest(artifact, manifest):
            raise damaged(str(directory), wrong, manifest)
        if differences := VerifiedFiles(self.root, artifact).differences(selected(manifest, only, str(directory))):
            raise damaged(str(directory), next(iter(differences.values())), manifest)
        return directory

    def scratch(self, step: str, cache_key: str) -> Path:
        """`scratch/STEP/KEY`; not created here."""
        return self.root / scratch_uri(step, cache_key)

    def remote_scratch(self, step: str, cache_key: str) -> None:
        """None."""

    def artifacts(self) -> Iterator[Artifact]:
        """Every directory below `artifacts/` whose manifest can be read. Raises `NewerFormat`."""
        for path in sorted(self.root.glob(f"artifacts/*/*/{MANIFEST}")):
            uri = path.parent.relative_to(self.root).as_posix()
            with contextlib.suppress(MissingArtifact, DamagedArtifact):
                yield Artifact(uri=uri, digest=self.manifest(uri).digest)

    def unfinished(self) -> Iterator[Path]:
        """Directories below `artifacts/` without a manifest, sorted: copies of some files, and what a killed deletion left."""
        for path in sorted(self.root.glob("artifacts/*/*")):
            if not any(path.rglob(MANIFEST)):
                yield path

    def delete(self, artifact: Artifact) -> None:
        """Remove the manifest, then the directory, and what is remembered of it."""
        (self.root / artifact.uri / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.root / artifact.uri, ignore_errors=True)
        VerifiedFiles(self.root, artifact).forget()

    def differences(self, artifact: Artifact) -> list[str]:
        """Compare the manifest's digest, then every file's hash, and name files nobody listed."""
        manifest = self.manifest(artifact.uri)
        listed = {record.path for record in manifest.files} | {MANIFEST}
        unlisted = sorted(_names(self.root / artifact.uri) - listed)
        return self._wrong(artifact, manifest) + [f"{name}: not in the manifest" for name in unlisted]

    def _wrong(self, artifact: Artifact, manifest: Manifest) -> list[str]:
        directory = self.root / artifact.uri
        wrong = [wrong_digest(artifact, manifest), *(_wrong_file(directory, record) for record in manifest.files)]
        return [difference for difference in wrong if difference]


def artifact_uri(step: str, cache_key: str) -> str:
    """Where an artifact is below the root of every store."""
    return f"artifacts/{step}/{cache_key[:16]}"


def scratch_uri(step: str, cache_key: str) -> str:
    """Where a step keeps what it is making, below the root of every store."""
    return f"scratch/{step}/{cache_key[:16]}"


def damaged(where: str, wrong: str, manifest: Manifest) -> DamagedArtifact:
    """The error to raise where an artifact differs from its manifest."""
    return DamagedArtifact(f"{where}: {wrong}; make it again with --fresh {manifest.step}")


def wrong_digest(artifact: Artifact, manifest: Manifest) -> str:
    """How the manifest differs from the artifact's; empty if it does not."""
    if manifest.digest == artifact.digest:
        return ""
    return f"{MANIFEST}: digest {manifest.digest[:12]}, expected {artifact.digest[:12]}"


def selected(manifest: Manifest, only: Sequence[str], where: str) -> tuple[FileRecord, ...]:
    """The records of the files that `only` names; of all of them if it names none.

    Each is a path, or a pattern of the shell such as `metrics/*` or `*.json`, whose `*` matches slashes too.

    Raises:
        MissingArtifact: a pattern matches no file; the message names it, what there is, and `where` the artifact is.
    """
    paths = [record.path for record in manifest.files]
    matches = {pattern: {path for path in paths if path == pattern or fnmatch.fnmatchcase(path, pattern)} for pattern in only}
    for pattern, matching in matches.items():
        if not matching:
            raise MissingArtifact(f"{where}: no file {pattern!r} in the manifest of {manifest.step}; it lists: {_listed(paths)}")
    wanted = set().union(*matches.values()) if only else set(paths)
    return tuple(record for record in manifest.files if record.path in wanted)


def _listed(paths: Sequence[str], max_paths: int = 20) -> str:
    more = f" and {len(paths) - max_paths} more" if len(paths) > max_paths else ""
    return ", ".join(paths[:max_paths]) + more if paths else "nothing"


def _wrong_size(directory: Path, record: FileRecord) -> str:
    return wrong_size(size_of(directory / record.path), record)


def _wrong_file(directory: Path, record: FileRecord) -> str:
    return _wrong_size(directory, record) or wrong_hash(sha256_of_file(directory / record.path), record)


def records_of(output: Path) -> tuple[FileRecord, ...]:
    """Path, hash, size and rows of every file below `output`, sorted by path."""
    return tuple(_record(output, name) for name in sorted(_names(output) - {MANIFEST}))


def _record(output: Path, name: str) -> FileRecord:
    path = output / name
    return FileRecord(path=name, sha256=HASHED.sha256(path), size=path.stat().st_size, rows=_rows(path))


def _rows(path: Path) -> int | None:
    if path.suffix != ".parquet":
        return None
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _names(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
