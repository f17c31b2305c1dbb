"""The artifact store: outputs are written to a temporary directory, published atomically, and looked up by cache key.

Also holds the functions that all stores share: they compare artifacts with their manifests and select files by pattern.
"""

import contextlib
import errno
import fnmatch
import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from components.artifacts import MANIFEST, Artifact, FileRecord, Manifest, sha256_of_file
from components.errors import DamagedArtifact, MissingArtifact
from components.files import flush, write_text
from components.ports.artifact_paths import (
    ATTEMPTS,
    POINTER,
    artifact_uri,
    attempt_uri,
    attempts_uri,
    candidates,
    in_order,
    is_content,
    key_uri,
    pointed,
    pointer_to,
    scratch_uri,
    uris_of,
)
from components.ports.unpublished import output_directory
from components.ports.verification import HASHED, VerifiedFiles, hash_difference, size_difference, size_of


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteScratch:
    """A folder of an object store for the temporary files of a running step."""

    url: str
    """URL of the folder, such as s3://bucket/prefix."""
    endpoint: str = ""
    """URL of the S3 API; empty: Amazon's."""


class ArtifactStore(Protocol):
    """Keeps artifacts: for each step and cache key the current one, and earlier ones with other content."""

    def find(self, step: str, cache_key: str) -> Artifact | None:
        """The current artifact of a step and cache key; None if there is none. File sizes are checked, hashes are not."""
        ...

    def writing(self, step: str) -> AbstractContextManager[Path]:
        """Yield an empty local directory for a step's output; it is deleted afterwards unless it was published."""
        ...

    def publish(self, output: Path, manifest: Manifest) -> Artifact:
        """Make the directory `output` an artifact, atomically. `manifest.files` must equal `records_of(output, …)`.

        If an artifact with equal content exists, that one is returned: only its damaged files are replaced, and `manifest` is
        stored with it as another attempt.
        """
        ...

    def attempts(self, artifact: Artifact) -> tuple[Manifest, ...]:
        """The manifests of later attempts that made the same content, sorted by start time. Raises `DamagedArtifact`."""
        ...

    def count_attempts(self, step: str, cache_key: str) -> int:
        """How many times a step has been published with that cache key, with whatever content."""
        ...

    def manifest(self, uri: str) -> Manifest:
        """The manifest of an artifact. Raises `MissingArtifact`, `DamagedArtifact` or `NewerFormat`."""
        ...

    def local(self, artifact: Artifact, only: Sequence[str] = ()) -> Path:
        """A local directory with the artifact's files, verified; with `only`, at least the files that match these patterns.

        Files are not hashed again if this run has hashed them, or if this machine has hashed them before this run.

        Raises:
            DamagedArtifact: the manifest or one of these files differs from its digest.
            MissingArtifact: the artifact does not exist, or none of its files matches a pattern.
        """
        ...

    def scratch(self, step: str, cache_key: str) -> Path:
        """A local directory for training checkpoints, which survives if the step is killed; deleted when the step publishes."""
        ...

    def remote_scratch(self, step: str, cache_key: str) -> RemoteScratch | None:
        """A folder of the object store for training checkpoints, which survives the loss of the machine; None: a local store."""
        ...

    def artifacts(self) -> Iterator[Artifact]:
        """Every finished artifact, sorted by URI."""
        ...

    def delete(self, artifact: Artifact) -> None:
        """Delete an artifact, its manifest first."""
        ...

    def differences(self, artifact: Artifact) -> list[str]:
        """Hash every file and describe each difference from the manifest; empty if there are none."""
        ...


@dataclass(frozen=True)
class LocalArtifactStore:
    """Keeps artifacts as directories on this machine."""

    root: Path
    """Directory of the store."""

    def find(self, step: str, cache_key: str) -> Artifact | None:
        """The current artifact of a step and cache key; None if it is missing, incomplete or unreadable."""
        pointer = self.root / key_uri(step, cache_key) / POINTER
        for uri in candidates(step, cache_key, pointer.read_bytes() if pointer.is_file() else None):
            with contextlib.suppress(MissingArtifact, DamagedArtifact):
                manifest = self.manifest(uri)
                sizes_differ = any(_wrong_size(self.root / uri, record) for record in manifest.files)
                if manifest.cache_key == cache_key and not sizes_differ:
                    return manifest.at(uri)
        return None

    @contextlib.contextmanager
    def writing(self, step: str) -> Iterator[Path]:
        """Yield a new directory below `writing/`."""
        with output_directory(self.root, step) as output:
            yield output

    def publish(self, output: Path, manifest: Manifest) -> Artifact:
        """Write the manifest, flush everything to disk, rename the directory to its URI, and update `current.json`."""
        uri, key = artifact_uri(manifest), self.root / key_uri(manifest.step, manifest.cache_key)
        kept = self._placed(output, manifest, uri)
        if kept.digest != manifest.digest:
            (self.root / attempt_uri(manifest)).parent.mkdir(parents=True, exist_ok=True)
            write_text(self.root / attempt_uri(manifest), manifest.to_bytes().decode(), durable=True)
        write_text(key / POINTER, pointer_to(manifest), durable=True)
        shutil.rmtree(self.scratch(manifest.step, manifest.cache_key), ignore_errors=True)
        return kept.at(uri)

    def put_at(self, output: Path, manifest: Manifest, uri: str) -> None:
        """Move `output` to `uri`, replacing what is there. Used for copies of artifacts from another store."""
        self._sealed(output, manifest, uri)
        with self.writing(manifest.step) as trash:
            for attempt in itertools.count():
                if _renamed(output, self.root / uri):
                    break
                _set_aside(self.root / uri, trash / str(attempt))
        flush((self.root / uri).parent)

    def _placed(self, output: Path, manifest: Manifest, uri: str) -> Manifest:
        """Move `output` to `uri` unless an artifact with equal content is there; returns the manifest that is then at `uri`.

        A directory never mixes files of two writers, except that damaged files are replaced by equal ones.
        """
        self._sealed(output, manifest, uri)
        kept = manifest
        with self.writing(manifest.step) as trash:
            for attempt in itertools.count():
                if _renamed(output, self.root / uri):
                    break
                if (mended := self._mended(output, manifest, uri)) is not None:
                    kept = mended
                    break
                _set_aside(self.root / uri, trash / str(attempt))
        flush((self.root / uri).parent)
        return kept

    def _sealed(self, output: Path, manifest: Manifest, uri: str) -> None:
        (output / MANIFEST).write_bytes(manifest.to_bytes())
        for path in (*output.rglob("*"), output):
            flush(path)
        (self.root / uri).parent.mkdir(parents=True, exist_ok=True)

    def _mended(self, output: Path, manifest: Manifest, uri: str) -> Manifest | None:
        """Replace the damaged files of the artifact at `uri` from `output` and return its manifest.

        None if that is not possible: it has other content, its manifest cannot be read, or a file of its record is damaged.
        """
        try:
            kept = self.manifest(uri)
        except (MissingArtifact, DamagedArtifact):
            return None
        # Without what this machine remembers: the artifact may be made again because the disk changed a byte of it
        wrong = [record for record in kept.files if _wrong_file(self.root / uri, record, HASHED.sha256)]
        if kept.content_digest != manifest.content_digest or any(record.record for record in wrong):
            return None
        for record in wrong:
            target = self.root / uri / record.path
            target.parent.mkdir(parents=True, exist_ok=True)
            (output / record.path).replace(target)
        return kept

    def attempts(self, artifact: Artifact) -> tuple[Manifest, ...]:
        """Read all manifests in the artifact's directory of attempts."""
        paths = sorted((self.root / attempts_uri(artifact)).glob("*.json"))
        return in_order(Manifest.from_bytes(path.read_bytes(), str(path)) for path in paths)

    def count_attempts(self, step: str, cache_key: str) -> int:
        """Count the manifests and attempts below the directory of the key."""
        key = self.root / key_uri(step, cache_key)
        return sum(1 for pattern in (MANIFEST, f"*/{MANIFEST}", f"{ATTEMPTS}/*/*.json") for _ in key.glob(pattern))

    def manifest(self, uri: str) -> Manifest:
        """Read `manifest.json` in the directory `uri`."""
        path = self.root / uri / MANIFEST
        try:
            return Manifest.from_bytes(path.read_bytes(), str(path))
        except OSError as error:
            raise MissingArtifact(f"{path}: no finished artifact here; run the step that makes it") from error

    def local(self, artifact: Artifact, only: Sequence[str] = ()) -> Path:
        """The directory of the artifact, after verifying its manifest and the requested files."""
        directory, manifest = self.root / artifact.uri, self.manifest(artifact.uri)
        if wrong := wrong_digest(artifact, manifest):
            raise damaged(str(directory), wrong, manifest)
        if differences := VerifiedFiles(self.root, artifact).differences(selected(manifest, only, str(directory))):
            raise damaged(str(directory), next(iter(differences.values())), manifest)
        return directory

    def scratch(self, step: str, cache_key: str) -> Path:
        """The path `scratch/STEP/KEY`; the directory is not created."""
        return self.root / scratch_uri(step, cache_key)

    def remote_scratch(self, step: str, cache_key: str) -> None:
        """None: a local store has no remote scratch."""

    def artifacts(self) -> Iterator[Artifact]:
        """Every directory below `artifacts/` whose manifest can be read. Raises `NewerFormat`."""
        paths = (path for depth in ("*/*", "*/*/*") for path in self.root.glob(f"artifacts/{depth}/{MANIFEST}"))
        for uri in uris_of(path.relative_to(self.root).as_posix() for path in paths):
            with contextlib.suppress(MissingArtifact, DamagedArtifact):
                yield self.manifest(uri).at(uri)

    def unfinished(self) -> Iterator[Path]:
        """Directories below `artifacts/` without a manifest: copies of artifacts from another store that are incomplete."""
        for key in sorted(path for path in self.root.glob("artifacts/*/*") if path.is_dir()):
            contents = [path for path in sorted(key.iterdir()) if is_content(path.name)]
            rest = [path for path in key.iterdir() if not is_content(path.name) and path.name not in {POINTER, ATTEMPTS}]
            yield from (path for path in contents if not (path / MANIFEST).is_file())
            if rest and not contents and not (key / MANIFEST).is_file():
                yield key

    def is_former(self, artifact: Artifact) -> bool:
        """Whether `current.json` of the artifact's step and key points to other content."""
        key, _, content = artifact.uri.rpartition("/")
        pointer = self.root / key / POINTER
        return pointer.is_file() and pointed(pointer.read_bytes()) not in ("", content)

    def delete(self, artifact: Artifact) -> None:
        """Delete the manifest, then the directory, its attempts and verification record; after the last one, `current.json`."""
        directory = self.root / artifact.uri
        (directory / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(self.root / attempts_uri(artifact), ignore_errors=True)
        # While other contents remain, current.json marks them as former ones
        if not any(is_content(path.name) for path in directory.parent.glob("*")):
            (directory.parent / POINTER).unlink(missing_ok=True)
        for empty in (directory.parent / ATTEMPTS, directory.parent):
            with contextlib.suppress(OSError):
                empty.rmdir()
        VerifiedFiles(self.root, artifact).forget()

    def differences(self, artifact: Artifact) -> list[str]:
        """Verify the manifest's digest and the hash of every file, and report files that the manifest does not list."""
        manifest = self.manifest(artifact.uri)
        listed = {record.path for record in manifest.files} | {MANIFEST}
        unlisted = sorted(_names(self.root / artifact.uri) - listed)
        return self._wrong(artifact, manifest) + [f"{name}: not in the manifest" for name in unlisted]

    def _wrong(self, artifact: Artifact, manifest: Manifest) -> list[str]:
        directory = self.root / artifact.uri
        wrong = [wrong_digest(artifact, manifest), *(_wrong_file(directory, record) for record in manifest.files)]
        return [difference for difference in wrong if difference]


def damaged(where: str, wrong: str, manifest: Manifest) -> DamagedArtifact:
    """The error for an artifact that differs from its manifest; `wrong` describes the difference."""
    return DamagedArtifact(f"{where}: {wrong}; make it again with --fresh {manifest.step}")


def wrong_digest(artifact: Artifact, manifest: Manifest) -> str:
    """The difference between the digests of a manifest and those of a handle; empty if there is none."""
    # A handle written before format 2 has the evidence digest in both fields
    if manifest.digest == artifact.digest and artifact.content in (manifest.content_digest, artifact.digest):
        return ""
    if manifest.digest == artifact.digest:
        return f"{MANIFEST}: content digest {manifest.content_digest[:12]}, expected {artifact.content[:12]}"
    return f"{MANIFEST}: digest {manifest.digest[:12]}, expected {artifact.digest[:12]}"


def selected(manifest: Manifest, only: Sequence[str], where: str) -> tuple[FileRecord, ...]:
    """The records of the files that match `only`; of all files if `only` is empty.

    Each entry is a path or a shell pattern such as `metrics/*` or `*.json`, in which `*` also matches slashes.

    Raises:
        MissingArtifact: a pattern matches no file; the message has the pattern, the existing files, and `where` the artifact is.
    """
    paths = [record.path for record in manifest.files]
    matches = {pattern: {path for path in paths if path == pattern or fnmatch.fnmatchcase(path, pattern)} for pattern in only}
    for pattern, matching in matches.items():
        if not matching:
            raise MissingArtifact(
                f"{where}: the manifest of {manifest.step} has no file {pattern!r}; its files: {_listed(paths)}"
            )
    wanted = set().union(*matches.values()) if only else set(paths)
    return tuple(record for record in manifest.files if record.path in wanted)


def _listed(paths: Sequence[str], max_paths: int = 20) -> str:
    more = f" and {len(paths) - max_paths} more" if len(paths) > max_paths else ""
    return ", ".join(paths[:max_paths]) + more if paths else "nothing"


def _wrong_size(directory: Path, record: FileRecord) -> str:
    return size_difference(size_of(directory / record.path), record)


def _wrong_file(directory: Path, record: FileRecord, sha256_of: Callable[[Path], str] = sha256_of_file) -> str:
    return _wrong_size(directory, record) or hash_difference(sha256_of(directory / record.path), record)


def records_of(output: Path, kind: type[Artifact] = Artifact) -> tuple[FileRecord, ...]:
    """Path, hash, size and rows of every file below `output`, sorted by path; `kind` decides which files belong to the record."""
    return tuple(_record(output, name, kind) for name in sorted(_names(output) - {MANIFEST}))


def _record(output: Path, name: str, kind: type[Artifact]) -> FileRecord:
    path = output / name
    return FileRecord(
        path=name,
        sha256=HASHED.sha256(path),
        size=path.stat().st_size,
        rows=_rows(path),
        record=any(fnmatch.fnmatchcase(name, pattern) for pattern in kind.RECORD_FILES),
    )


def _renamed(output: Path, directory: Path) -> bool:
    """Rename `output` to `directory`; returns False, without renaming, if a non-empty directory is there."""
    try:
        output.rename(directory)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def _set_aside(directory: Path, trash: Path) -> None:
    """Move a directory to `trash`, unless another writer has just moved it."""
    with contextlib.suppress(FileNotFoundError):
        directory.rename(trash)


def _rows(path: Path) -> int | None:
    if path.suffix != ".parquet":
        return None
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _names(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
