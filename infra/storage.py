"""The artifact store on an object store.

Paths are those of `components.ports.artifact_paths`, but that below an artifact's URI

…/manifest.json     is put last: without it the artifact does not exist
…/PATH              is a content file: the same bytes whoever puts it
…/EVIDENCE/PATH     is a file of the record, of the manifest with that evidence digest; of format 1 any file

Files of different bytes never share a path, so writers of one key cannot mix theirs; the manifest, put by compare-and-swap, says
whose count.
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
from components.ports.verification import HASHED, VerifiedFiles, wrong_size
from infra.bucket import Bucket, object_store_endpoint
from infra.urls import HERE

ABANDONED = timedelta(days=1)
"""Age after which files that no manifest names are taken for a killed writer's: longer than any upload lasts."""


_EVIDENCE = re.compile(rf"[0-9a-f]{{{DIGITS}}}/")
"""A folder of record files."""


@dataclass(frozen=True)
class ObjectArtifactStore:
    """Artifacts below `root`, such as s3://bucket/prefix; copies of the files that were used lie in `copies`.

    Credentials come from the environment, in the names of the cloud's own tools. Every method raises `StoreError` where the
    store cannot be reached or refuses.
    """

    root: str
    copies: Path
    """A directory of this machine: outputs being written, and copies."""
    shared: Path
    """A directory for scratch that outlives a killed pod, and that all workers of a training see: a shared volume."""
    endpoint: str = ""
    """URL of an S3 API other than Amazon's."""

    def find(self, step: str, cache_key: str) -> Artifact | None:
        """The current artifact of that step and key, or None where it is missing, cut short or unreadable."""
        for uri in candidates(step, cache_key, self._bucket.get(f"{key_uri(step, cache_key)}/{POINTER}")[0]):
            with contextlib.suppress(MissingArtifact, DamagedArtifact):
                manifest = self.manifest(uri)
                if manifest.cache_key == cache_key and self._is_whole(uri, manifest):
                    return manifest.at(uri)
        return None

    def _is_whole(self, uri: str, manifest: Manifest) -> bool:
        sizes = self._bucket.sizes(uri)
        return not any(wrong_size(sizes.get(_name_of(manifest, record)), record) for record in manifest.files)

    @contextlib.contextmanager
    def writing(self, step: str) -> Iterator[Path]:
        """A fresh local directory. The store is looked at first, so that hours of work do not end at a missing bucket."""
        self._bucket.sizes(f"artifacts/{step}")
        with self._local.writing(step) as output:
            yield output

    def publish(self, output: Path, manifest: Manifest) -> Artifact:
        """Put the files, then the manifest, then what points to it; `output` becomes the local copy of a new artifact."""
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
        """The manifest that is at `uri` afterwards: that of equal content that was there, or this one."""
        while True:
            data, tag = self._bucket.get(f"{uri}/{MANIFEST}")
            if data is not None and (kept := self._mended(output, manifest, uri, data)) is not None:
                return kept
            for record in manifest.files:
                self._bucket.put(f"{uri}/{_name_of(manifest, record)}", output / record.path)
            if self._bucket.replace(f"{uri}/{MANIFEST}", manifest.to_bytes(), tag):
                return manifest

    def _mended(self, output: Path, manifest: Manifest, uri: str, data: bytes) -> Manifest | None:
        """The manifest of equal content, `data`, after its damaged files were put again; None where it cannot be mended."""
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
        """Get every file below the artifact's attempts."""
        paths = [f"{attempts_uri(artifact)}/{name}" for name in sorted(self._bucket.sizes(attempts_uri(artifact)))]
        return in_order(Manifest.from_bytes(self._bucket.get(path)[0] or b"", f"{self.root}/{path}") for path in paths)

    def count_attempts(self, step: str, cache_key: str) -> int:
        """Count manifests and attempts below the key."""
        names = [name.split("/") for name in self._bucket.sizes(key_uri(step, cache_key))]
        return sum(1 for name in names if (name[-1] == MANIFEST and len(name) <= 2) or name[0] == ATTEMPTS)

    def manifest(self, uri: str) -> Manifest:
        """Get `manifest.json` below `uri`."""
        where = f"{self.root}/{uri}/{MANIFEST}"
        data, _ = self._bucket.get(f"{uri}/{MANIFEST}")
        if data is None:
            raise MissingArtifact(f"{where}: no finished artifact here; run the step that makes it")
        return Manifest.from_bytes(data, where)

    def local(self, artifact: Artifact, only: Sequence[str] = ()) -> Path:
        """A local copy of the files that are asked for: those that are not there yet, or are damaged there, are fetched.

        A copy grows in its directory, and has a manifest as soon as it is whole.
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
        """Fetch files, and move them into the copy."""
        with self._local.writing(manifest.step) as output:
            for record in records:
                if wrong := self._fetched(artifact.uri, manifest, record, output):
                    raise damaged(f"{self.root}/{artifact.uri}", wrong, manifest)
            self._keep(output, artifact, manifest, records)

    def _fetched(self, uri: str, manifest: Manifest, record: FileRecord, output: Path) -> str:
        """Fetch a file of an artifact into `output`; how it differs from its record, or nothing."""
        return self._bucket.fetch(f"{uri}/{_name_of(manifest, record)}", record, output / record.path)

    def _keep(self, fetched: Path, artifact: Artifact, manifest: Manifest, records: Sequence[FileRecord]) -> None:
        """Move fetched files into the copy."""
        self._discard_other(artifact, manifest)
        for record in records:
            target = self.copies / artifact.uri / record.path
            target.parent.mkdir(parents=True, exist_ok=True)
            HASHED.move(fetched / record.path, target, record.sha256)

    def _discard_other(self, artifact: Artifact, manifest: Manifest) -> None:
        """Remove a copy that is another artifact's."""
        path = self.copies / artifact.uri / MANIFEST
        if path.is_file() and path.read_bytes() != manifest.to_bytes():
            self._local.delete(artifact)

    @staticmethod
    def _complete(directory: Path, manifest: Manifest) -> None:
        """Put the manifest into a copy that has every file, unless it is there."""
        if not (directory / MANIFEST).is_file():
            directory.mkdir(parents=True, exist_ok=True)
            for record in manifest.files:
                flush(directory / record.path)
            with written_beside(directory / MANIFEST, durable=True) as beside:
                beside.write_bytes(manifest.to_bytes())

    def scratch(self, step: str, cache_key: str) -> Path:
        """`scratch/STEP/KEY` on the shared volume; not created here."""
        return LocalArtifactStore(self.shared).scratch(step, cache_key)

    def remote_scratch(self, step: str, cache_key: str) -> RemoteScratch:
        """`scratch/STEP/KEY` below the root."""
        return RemoteScratch(url=f"{self.root.rstrip('/')}/{scratch_uri(step, cache_key)}", endpoint=self.endpoint)

    def artifacts(self) -> Iterator[Artifact]:
        """Every manifest below `artifacts/` that can be read. Raises `NewerFormat`."""
        for uri in uris_of(f"artifacts/{name}" for name in self._bucket.sizes("artifacts")):
            with contextlib.suppress(MissingArtifact, DamagedArtifact):
                yield self.manifest(uri).at(uri)

    def delete(self, artifact: Artifact) -> None:
        """Remove the manifest, then the other files, attempts and what points to the artifact; then the local copy."""
        key = artifact.uri.rpartition("/")[0]
        self._bucket.delete([f"{artifact.uri}/{MANIFEST}"])
        for folder in (artifact.uri, attempts_uri(artifact)):
            self._bucket.delete([f"{folder}/{name}" for name in self._bucket.sizes(folder)])
        # as long as there are former contents, what names the current one tells them from it
        if self._bucket.sizes(key).keys() == {POINTER}:
            self._bucket.delete([f"{key}/{POINTER}"])
        self._local.delete(artifact)

    def differences(self, artifact: Artifact) -> list[str]:
        """Compare the manifest's digest, then the hash of every file in the store, and name files nobody listed."""
        manifest = self.manifest(artifact.uri)
        wrong = [wrong_digest(artifact, manifest)]
        wrong += [self._bucket.fetch(f"{artifact.uri}/{_name_of(manifest, record)}", record, None) for record in manifest.files]
        return [*filter(None, wrong), *(f"{name}: not in the manifest" for name in self._unlisted(artifact.uri, manifest))]

    def _unlisted(self, uri: str, manifest: Manifest) -> list[str]:
        """Names of files that the manifest does not list, but for what another writer of equal content has put beside its own."""
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
        """Remove what killed writers of this key left, by the store's own clock: whatever no manifest stands for."""
        objects = self._bucket.objects(key)
        now = max((meta["last_modified"] for meta in objects.values()), default=None)
        whole = {name.split("/")[0] for name in objects if name.count("/") == 1 and name.endswith(f"/{MANIFEST}")}
        whole |= {ATTEMPTS, POINTER, MANIFEST}
        ours = f"{manifest.content_digest[:DIGITS]}/"
        kept = {f"{ours}{name}" for name in (MANIFEST, *_names_of(manifest))}
        others = [name for name in objects if (name.startswith(ours) and name not in kept) or name.split("/")[0] not in whole]
        self._bucket.delete([f"{key}/{name}" for name in others if now and now - objects[name]["last_modified"] > ABANDONED])


def store_at(root: str, home: Path) -> ArtifactStore:
    """The store of artifacts at `root`, which is a URL or the home; what it keeps on this machine lies in `home`."""
    if root == HERE:
        return LocalArtifactStore(home)
    return ObjectArtifactStore(root=root, copies=home, shared=home, endpoint=object_store_endpoint(root))


def _folder(manifest: Manifest) -> str:
    return manifest.digest[:DIGITS]


def _name_of(manifest: Manifest, record: FileRecord) -> str:
    """Where a file of an artifact is below its URI."""
    return f"{_folder(manifest)}/{record.path}" if record.record or manifest.format_version == 1 else record.path


def _names_of(manifest: Manifest) -> set[str]:
    return {_name_of(manifest, record) for record in manifest.files}
