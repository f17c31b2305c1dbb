"""The artifact store: outputs are written apart, moved to their directory whole, and looked up by cache key.

What every store shares is here too: how an artifact is compared with its manifest, and which files are asked for.
"""

import contextlib
import errno
import fnmatch
import itertools
import shutil
import tempfile
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
from components.ports.verification import HASHED, VerifiedFiles, size_of, wrong_hash, wrong_size


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteScratch:
    """A folder of an object store for what a step keeps while it is being made."""

    url: str
    """Such as s3://bucket/prefix."""
    endpoint: str = ""
    """URL of an S3 API other than Amazon's."""


class ArtifactStore(Protocol):
    """Keeps artifacts: for each step and cache key the current one, and former ones of other content."""

    def find(self, step: str, cache_key: str) -> Artifact | None:
        """The current artifact of that step and key, if there is one. File sizes are compared, hashes are not."""
        ...

    def writing(self, step: str) -> AbstractContextManager[Path]:
        """An empty local directory for a step's output, removed at the end unless it was published."""
        ...

    def publish(self, output: Path, manifest: Manifest) -> Artifact:
        """Make `output` with its manifest an artifact, whole or not at all; `manifest.files` must be what `records_of` says.

        Where equal content is there, its artifact is returned untouched, but for files that were damaged, and the manifest is
        kept beside it as another attempt.
        """
        ...

    def attempts(self, artifact: Artifact) -> tuple[Manifest, ...]:
        """The manifests of later attempts that made the same content, by their start. Raises `DamagedArtifact`."""
        ...

    def count_attempts(self, step: str, cache_key: str) -> int:
        """How often that step has been published with that key, whatever came of it."""
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
    """Artifacts as directories below `root`, written in `writing/`."""

    root: Path

    def find(self, step: str, cache_key: str) -> Artifact | None:
        """The current artifact of that step and key, or None where it is missing, cut short or unreadable."""
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
        """A fresh directory below `writing/`."""
        parent = self.root / "writing"
        parent.mkdir(parents=True, exist_ok=True)
        output = Path(tempfile.mkdtemp(prefix=f"{step}-", dir=parent))
        try:
            yield output
        finally:
            shutil.rmtree(output, ignore_errors=True)

    def publish(self, output: Path, manifest: Manifest) -> Artifact:
        """Write the manifest, flush everything to disk, rename the directory to its URI, and point to it."""
        uri, key = artifact_uri(manifest), self.root / key_uri(manifest.step, manifest.cache_key)
        kept = self._placed(output, manifest, uri)
        if kept.digest != manifest.digest:
            (self.root / attempt_uri(manifest)).parent.mkdir(parents=True, exist_ok=True)
            write_text(self.root / attempt_uri(manifest), manifest.to_bytes().decode(), durable=True)
        write_text(key / POINTER, pointer_to(manifest), durable=True)
        shutil.rmtree(self.scratch(manifest.step, manifest.cache_key), ignore_errors=True)
        return kept.at(uri)

    def put_at(self, output: Path, manifest: Manifest, uri: str) -> None:
        """Make `output` the directory of `uri`, in place of what is there. For copies of artifacts that others made."""
        self._sealed(output, manifest, uri)
        with self.writing(manifest.step) as trash:
            for attempt in itertools.count():
                if _renamed(output, self.root / uri):
                    break
                _set_aside(self.root / uri, trash / str(attempt))
        flush((self.root / uri).parent)

    def _placed(self, output: Path, manifest: Manifest, uri: str) -> Manifest:
        """The manifest that is at `uri` afterwards: that of equal content that was there, or this one.

        A directory never mixes files of two writers, but for damaged ones, which are replaced by equal content.
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
        """The manifest of equal content at `uri`, after its damaged files were replaced; None where it cannot be mended."""
        try:
            kept = self.manifest(uri)
        except (MissingArtifact, DamagedArtifact):
            return None
        # not by what this machine remembers: whoever makes an artifact again may do so because a disk has changed a byte
        wrong = [record for record in kept.files if _wrong_file(self.root / uri, record, HASHED.sha256)]
        if kept.content_digest != manifest.content_digest or any(record.record for record in wrong):
            return None
        for record in wrong:
            target = self.root / uri / record.path
            target.parent.mkdir(parents=True, exist_ok=True)
            (output / record.path).replace(target)
        return kept

    def attempts(self, artifact: Artifact) -> tuple[Manifest, ...]:
        """Read every file below the artifact's attempts."""
        paths = sorted((self.root / attempts_uri(artifact)).glob("*.json"))
        return in_order(Manifest.from_bytes(path.read_bytes(), str(path)) for path in paths)

    def count_attempts(self, step: str, cache_key: str) -> int:
        """Count manifests and attempts below the key."""
        key = self.root / key_uri(step, cache_key)
        return sum(1 for pattern in (MANIFEST, f"*/{MANIFEST}", f"{ATTEMPTS}/*/*.json") for _ in key.glob(pattern))

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
        paths = (path for depth in ("*/*", "*/*/*") for path in self.root.glob(f"artifacts/{depth}/{MANIFEST}"))
        for uri in uris_of(path.relative_to(self.root).as_posix() for path in paths):
            with contextlib.suppress(MissingArtifact, DamagedArtifact):
                yield self.manifest(uri).at(uri)

    def unfinished(self) -> Iterator[Path]:
        """Every directory below `artifacts/` without a manifest: copies that have some of an artifact's files, and no others."""
        for key in sorted(path for path in self.root.glob("artifacts/*/*") if path.is_dir()):
            contents = [path for path in sorted(key.iterdir()) if is_content(path.name)]
            rest = [path for path in key.iterdir() if not is_content(path.name) and path.name not in {POINTER, ATTEMPTS}]
            yield from (path for path in contents if not (path / MANIFEST).is_file())
            if rest and not contents and not (key / MANIFEST).is_file():
                yield key

    def is_former(self, artifact: Artifact) -> bool:
        """Whether another content is the current one of the artifact's step and key."""
        key, _, content = artifact.uri.rpartition("/")
        pointer = self.root / key / POINTER
        return pointer.is_file() and pointed(pointer.read_bytes()) not in ("", content)

    def delete(self, artifact: Artifact) -> None:
        """Remove the manifest, then the directory, its attempts, and what points to it or is remembered of it."""
        directory = self.root / artifact.uri
        (directory / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(self.root / attempts_uri(artifact), ignore_errors=True)
        # as long as there are former contents, what names the current one tells them from it
        if not any(is_content(path.name) for path in directory.parent.glob("*")):
            (directory.parent / POINTER).unlink(missing_ok=True)
        for empty in (directory.parent / ATTEMPTS, directory.parent):
            with contextlib.suppress(OSError):
                empty.rmdir()
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


def damaged(where: str, wrong: str, manifest: Manifest) -> DamagedArtifact:
    """The error to raise where an artifact differs from its manifest."""
    return DamagedArtifact(f"{where}: {wrong}; make it again with --fresh {manifest.step}")


def wrong_digest(artifact: Artifact, manifest: Manifest) -> str:
    """How the manifest differs from the artifact's; empty if it does not."""
    # a handle that was written before there were two digests has one
    if manifest.digest == artifact.digest and artifact.content in (manifest.content_digest, artifact.digest):
        return ""
    if manifest.digest == artifact.digest:
        return f"{MANIFEST}: content digest {manifest.content_digest[:12]}, expected {artifact.content[:12]}"
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


def _wrong_file(directory: Path, record: FileRecord, sha256_of: Callable[[Path], str] = sha256_of_file) -> str:
    return _wrong_size(directory, record) or wrong_hash(sha256_of(directory / record.path), record)


def records_of(output: Path, kind: type[Artifact] = Artifact) -> tuple[FileRecord, ...]:
    """Path, hash, size and rows of every file below `output`, sorted by path; the kind says which are record."""
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
    """Rename `output` to `directory`; whether nothing was there."""
    try:
        output.rename(directory)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def _set_aside(directory: Path, trash: Path) -> None:
    """Move a directory away, unless another writer has just done so."""
    with contextlib.suppress(FileNotFoundError):
        directory.rename(trash)


def _rows(path: Path) -> int | None:
    if path.suffix != ".parquet":
        return None
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _names(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
