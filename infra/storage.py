"""Implements the artifact store on an object store.

Paths are those of `components.ports.artifact_paths`, except below an artifact's URI:

…/manifest.json     the manifest, written last: without it the artifact does not exist
…/PATH              a content file: every writer writes the same bytes
…/EVIDENCE/PATH     a record file of the manifest with that evidence digest; in format 1, any file

Files with different bytes never share a path, so concurrent writers of one key cannot mix their files. The manifest is written by
compare-and-swap and decides whose files count.
"""

import contextlib
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from components.artifacts import MANIFEST, Artifact, FileRecord, Manifest
from components.errors import DamagedArtifact, MissingArtifact
from components.files import flush, written_beside
from components.ports import ArtifactStore, LocalArtifactStore, RemoteScratch
from components.ports.artifact_paths import (
    ATTEMPTS,
    DIGITS,
    POINTER,
    artifact_uri,
    attempt_uri,
    attempts_uri,
    candidates,
    in_order,
    key_uri,
    pointer_to,
    scratch_uri,
    uris_of,
)
from components.ports.store import damaged, selected, wrong_digest
from components.ports.verification import HASHED, VerifiedFiles, size_difference
from infra.bucket import Bucket, object_store_endpoint
from infra.urls import HERE

ABANDONED = timedelta(days=1)
"""Age after which files that no manifest lists are deleted as remains of a killed writer; no upload takes that long."""


_EVIDENCE = re.compile(rf"[0-9a-f]{{{DIGITS}}}/")
"""Path of a record file: its first folder is an evidence digest."""


@dataclass(frozen=True)
class ObjectArtifactStore:
    """Artifacts below `root`, such as s3://bucket/prefix, with local copies of the files that were used in `copies`.

    Credentials come from the environment, under the names that the cloud's own tools use. Every method raises `StoreError` if the
    store cannot be reached or rejects a request.
    """

    root: str
    """URL of the store: s3://bucket/prefix or gs://bucket/prefix."""
    copies: Path
    """Local directory for outputs that are being written, and for copies."""
    shared: Path
    """Directory for scratch data, on a volume that outlives a killed pod and that all workers of a training run share."""
    endpoint: str = ""
    """URL of an S3 API other than Amazon's; empty otherwise."""

    def find(self, step: str, cache_key: str) -> Artifact | None:
        """The current artifact of a step and cache key; None if it is missing, incomplete or unreadable."""
        for uri in candidates(step, cache_key, self._bucket.get(f"{key_uri(step, cache_key)}/{POINTER}")[0]):
            with contextlib.suppress(MissingArtifact, DamagedArtifact):
                manifest = self.manifest(uri)
                if manifest.cache_key == cache_key and self._is_whole(uri, manifest):
                    return manifest.at(uri)
        return None

    def _is_whole(self, uri: str, manifest: Manifest) -> bool:
        sizes = self._bucket.sizes(uri)
        return not any(size_difference(sizes.get(_name_of(manifest, record)), record) for record in manifest.files)

    @contextlib.contextmanager
    def writing(self, step: str) -> Iterator[Path]:
        """Yields a new local directory for an output. Contacts the store first, so that a missing bucket is noticed before the
        work."""
        self._bucket.sizes(f"artifacts/{step}")
        with self._local.writing(step) as output:
            yield output

    def publish(self, output: Path, manifest: Manifest) -> Artifact:
        """Upload the files, then the manifest, then the pointer to it; `output` becomes the local copy of a new artifact."""
        uri, key = artifact_uri(manifest), key_uri(manifest.step, manifest.cache_key)
        kept = self._placed(output, manifest, uri)
        if kept.digest != manifest.digest:
            self._bucket.replace(attempt_uri(manifest), manifest.to_bytes(), "")
        pointer = f"{key}/{POINTER}"
        while not self._bucket.replace(pointer, pointer_to(manifest).encode(), self._bucket.get(pointer)[1]):
            pass
        self._sweep(key, kept)
        if kept.digest == manifest.digest:
            self._local.put_at(output, manifest, uri)
        shutil.rmtree(self.scratch(manifest.step, manifest.cache_key), ignore_errors=True)
        folder = scratch_uri(manifest.step, manifest.cache_key)
        self._bucket.delete([f"{folder}/{name}" for name in self._bucket.sizes(folder)])
        return kept.at(uri)

    def _placed(self, output: Path, manifest: Manifest, uri: str) -> Manifest:
        """Upload files and manifest; returns the manifest that is at `uri` afterwards: an existing one of equal content, or
        this."""
        while True:
            data, tag = self._bucket.get(f"{uri}/{MANIFEST}")
            if data is not None and (kept := self._mended(output, manifest, uri, data)) is not None:
                return kept
            for record in manifest.files:
                self._bucket.put(f"{uri}/{_name_of(manifest, record)}", output / record.path)
            if self._bucket.replace(f"{uri}/{MANIFEST}", manifest.to_bytes(), tag):
                return manifest

    def _mended(self, output: Path, manifest: Manifest, uri: str, data: bytes) -> Manifest | None:
        """Repair an existing artifact of equal content, whose manifest is `data`, by uploading its damaged files again.

        Returns its manifest; None if the content differs or the artifact cannot be repaired.
        """
        try:
            kept = Manifest.from_bytes(data, uri)
        except DamagedArtifact:
            return None
        if kept.content_digest != manifest.content_digest:
            return None
        with self._local.writing(manifest.step) as fetched:
            wrong = [record for record in kept.files if self._fetched(uri, kept, record, fetched)]
            if any(record.record for record in wrong):
                return None
            for record in wrong:
                self._bucket.put(f"{uri}/{_name_of(kept, record)}", output / record.path)
            self._keep(fetched, kept.at(uri), kept, [record for record in kept.files if record not in wrong])
        return kept

    def attempts(self, artifact: Artifact) -> tuple[Manifest, ...]:
        """The manifests of all attempts at the artifact, in order."""
        paths = [f"{attempts_uri(artifact)}/{name}" for name in sorted(self._bucket.sizes(attempts_uri(artifact)))]
        return in_order(Manifest.from_bytes(self._bucket.get(path)[0] or b"", f"{self.root}/{path}") for path in paths)

    def count_attempts(self, step: str, cache_key: str) -> int:
        """The number of manifests and attempts below the key."""
        names = [name.split("/") for name in self._bucket.sizes(key_uri(step, cache_key))]
        return sum(1 for name in names if (name[-1] == MANIFEST and len(name) <= 2) or name[0] == ATTEMPTS)

    def manifest(self, uri: str) -> Manifest:
        """The manifest of the artifact at `uri`. Raises `MissingArtifact` or `DamagedArtifact`."""
        where = f"{self.root}/{uri}/{MANIFEST}"
        data, _ = self._bucket.get(f"{uri}/{MANIFEST}")
        if data is None:
            raise MissingArtifact(f"{where}: no finished artifact here; run the step that makes it")
        return Manifest.from_bytes(data, where)

    def local(self, artifact: Artifact, only: Sequence[str] = ()) -> Path:
        """The directory of the local copy, with all files that match `only`. Missing and damaged files are downloaded.

        Later calls add files to the same copy. It gets a manifest once it is complete.
        """
        manifest, where = self.manifest(artifact.uri), f"{self.root}/{artifact.uri}"
        if wrong := wrong_digest(artifact, manifest):
            raise damaged(where, wrong, manifest)
        records = selected(manifest, only, where)
        self._discard_other(artifact, manifest)
        missing = VerifiedFiles(self.copies, artifact).differences(records)
        if missing:
            self._grow(artifact, manifest, [record for record in records if record.path in missing])
        if not only:
            self._complete(self.copies / artifact.uri, manifest)
        return self.copies / artifact.uri

    def _grow(self, artifact: Artifact, manifest: Manifest, records: Sequence[FileRecord]) -> None:
        """Download files and move them into the local copy."""
        with self._local.writing(manifest.step) as output:
            for record in records:
                if wrong := self._fetched(artifact.uri, manifest, record, output):
                    raise damaged(f"{self.root}/{artifact.uri}", wrong, manifest)
            self._keep(output, artifact, manifest, records)

    def _fetched(self, uri: str, manifest: Manifest, record: FileRecord, output: Path) -> str:
        """Download a file of an artifact into `output`; returns how it differs from its record, or an empty string."""
        return self._bucket.fetch(f"{uri}/{_name_of(manifest, record)}", record, output / record.path)

    def _keep(self, fetched: Path, artifact: Artifact, manifest: Manifest, records: Sequence[FileRecord]) -> None:
        """Move downloaded files into the local copy."""
        self._discard_other(artifact, manifest)
        for record in records:
            target = self.copies / artifact.uri / record.path
            target.parent.mkdir(parents=True, exist_ok=True)
            HASHED.move(fetched / record.path, target, record.sha256)

    def _discard_other(self, artifact: Artifact, manifest: Manifest) -> None:
        """Delete the local copy if it belongs to another artifact."""
        path = self.copies / artifact.uri / MANIFEST
        if path.is_file() and path.read_bytes() != manifest.to_bytes():
            self._local.delete(artifact)

    @staticmethod
    def _complete(directory: Path, manifest: Manifest) -> None:
        """Write the manifest into a local copy that has every file, if it is missing."""
        if not (directory / MANIFEST).is_file():
            directory.mkdir(parents=True, exist_ok=True)
            for record in manifest.files:
                flush(directory / record.path)
            with written_beside(directory / MANIFEST, durable=True) as beside:
                beside.write_bytes(manifest.to_bytes())

    def scratch(self, step: str, cache_key: str) -> Path:
        """The directory `scratch/STEP/KEY` on the shared volume; not created here."""
        return LocalArtifactStore(self.shared).scratch(step, cache_key)

    def remote_scratch(self, step: str, cache_key: str) -> RemoteScratch:
        """The folder `scratch/STEP/KEY` in the store."""
        return RemoteScratch(url=f"{self.root.rstrip('/')}/{scratch_uri(step, cache_key)}", endpoint=self.endpoint)

    def artifacts(self) -> Iterator[Artifact]:
        """Every artifact in the store whose manifest is readable. Raises `NewerFormat`."""
        for uri in uris_of(f"artifacts/{name}" for name in self._bucket.sizes("artifacts")):
            with contextlib.suppress(MissingArtifact, DamagedArtifact):
                yield self.manifest(uri).at(uri)

    def delete(self, artifact: Artifact) -> None:
        """Delete the manifest, then the other files, attempts and the pointer to the artifact; then the local copy."""
        key = artifact.uri.rpartition("/")[0]
        self._bucket.delete([f"{artifact.uri}/{MANIFEST}"])
        for folder in (artifact.uri, attempts_uri(artifact)):
            self._bucket.delete([f"{folder}/{name}" for name in self._bucket.sizes(folder)])
        # the pointer is needed while other contents of this key exist: it says which one is current
        if self._bucket.sizes(key).keys() == {POINTER}:
            self._bucket.delete([f"{key}/{POINTER}"])
        self._local.delete(artifact)

    def differences(self, artifact: Artifact) -> list[str]:
        """Differences between the store and the manifest, one line each: its digest, the hash of every file, and unlisted
        files."""
        manifest = self.manifest(artifact.uri)
        wrong = [wrong_digest(artifact, manifest)]
        wrong += [self._bucket.fetch(f"{artifact.uri}/{_name_of(manifest, record)}", record, None) for record in manifest.files]
        return [*filter(None, wrong), *(f"{name}: not in the manifest" for name in self._unlisted(artifact.uri, manifest))]

    def _unlisted(self, uri: str, manifest: Manifest) -> list[str]:
        """Names of files that the manifest does not list, except record files of other writers of equal content."""
        own = f"{_folder(manifest)}/"
        names = [name for name in self._bucket.sizes(uri) if name.startswith(own) or not _EVIDENCE.match(name)]
        return sorted(name.removeprefix(own) for name in set(names) - {MANIFEST} - _names_of(manifest))

    @property
    def _local(self) -> LocalArtifactStore:
        return LocalArtifactStore(self.copies)

    @property
    def _bucket(self) -> Bucket:
        return Bucket(self.root, self.endpoint)

    def _sweep(self, key: str, manifest: Manifest) -> None:
        """Delete old files of this key that no manifest lists, left by killed writers. Ages are measured by the store's clock."""
        objects = self._bucket.objects(key)
        now = max((meta["last_modified"] for meta in objects.values()), default=None)
        whole = {name.split("/")[0] for name in objects if name.count("/") == 1 and name.endswith(f"/{MANIFEST}")}
        whole |= {ATTEMPTS, POINTER, MANIFEST}
        ours = f"{manifest.content_digest[:DIGITS]}/"
        kept = {f"{ours}{name}" for name in (MANIFEST, *_names_of(manifest))}
        others = [name for name in objects if (name.startswith(ours) and name not in kept) or name.split("/")[0] not in whole]
        self._bucket.delete([f"{key}/{name}" for name in others if now and now - objects[name]["last_modified"] > ABANDONED])


def store_at(root: str, home: Path) -> ArtifactStore:
    """The artifact store at `root`, a URL or `HERE`; its local files are in `home`."""
    if root == HERE:
        return LocalArtifactStore(home)
    return ObjectArtifactStore(root=root, copies=home, shared=home, endpoint=object_store_endpoint(root))


def _folder(manifest: Manifest) -> str:
    return manifest.digest[:DIGITS]


def _name_of(manifest: Manifest, record: FileRecord) -> str:
    """Path of a file of an artifact, relative to the artifact's URI."""
    return f"{_folder(manifest)}/{record.path}" if record.record or manifest.format_version == 1 else record.path


def _names_of(manifest: Manifest) -> set[str]:
    return {_name_of(manifest, record) for record in manifest.files}
