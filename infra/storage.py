"""The artifact store on an object store: S3 and whatever speaks its API. GCS has the same client, but was not tried.

ROOT/artifacts/STEP/KEY/manifest.json          put last: without it the artifact does not exist
ROOT/artifacts/STEP/KEY/DIGEST/…               the files of the manifest with that evidence digest
ROOT/scratch/STEP/KEY/…                        what a step that is being made keeps for another machine

Files of different content never share a path, so writers of one key cannot mix theirs; the manifest, put by compare-and-swap,
says whose count. obstore is what Flyte stores through: conditional puts, multipart and retries are its own.
"""

import contextlib
import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from components.artifacts import MANIFEST, Artifact, FileRecord, Manifest
from components.errors import DamagedArtifact, MissingArtifact, StoreError
from components.files import flush, written_beside
from components.ports import ArtifactStore, LocalArtifactStore, RemoteScratch
from components.ports.store import artifact_uri, damaged, scratch_uri, selected, wrong_digest
from components.ports.verification import HASHED, VerifiedFiles, wrong_hash, wrong_size
from infra.cluster.process_profile import profile_of_process
from infra.retry import TransientError, retry
from infra.urls import HERE
from infra.variables import variable

if TYPE_CHECKING:
    from obstore.store import ObjectStore

Result = TypeVar("Result")

Tagged = tuple[bytes, str]
"""An object's bytes, and the store's tag of them."""

RETRY = {"max_retries": 5, "retry_timeout": timedelta(minutes=2)}
"""obstore's own retries of one request: about 3 s of waiting where nobody listens. Longer ones are `infra.retry`'s."""

ABANDONED = timedelta(days=1)
"""Age after which files that no manifest names are taken for a killed writer's: longer than any upload lasts."""

_CHUNK = 16 * 2**20
"""Bytes read or put at once; S3 allows 10 000 parts of an object."""


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
        """The artifact of that step and key, or None where it is missing, cut short or unreadable."""
        uri = artifact_uri(step, cache_key)
        try:
            manifest = self.manifest(uri)
        except (MissingArtifact, DamagedArtifact):
            return None
        sizes = self._sizes(f"{uri}/{_folder(manifest)}")
        whole = manifest.cache_key == cache_key and not any(
            wrong_size(sizes.get(record.path), record) for record in manifest.files
        )
        return Artifact(uri=uri, digest=manifest.digest) if whole else None

    @contextlib.contextmanager
    def writing(self, step: str) -> Iterator[Path]:
        """A fresh local directory. The store is looked at first, so that hours of work do not end at a missing bucket."""
        self._sizes(f"artifacts/{step}")
        with self._local.writing(step) as output:
            yield output

    def publish(self, output: Path, manifest: Manifest) -> Artifact:
        """Put the files, then the manifest; keep `output` as the local copy. Of two writers of one key the last one stays."""
        uri = artifact_uri(manifest.step, manifest.cache_key)
        for record in manifest.files:
            path = f"{uri}/{_folder(manifest)}/{record.path}"
            self._ask(path, functools.partial(_obstore().put, self._store, path, output / record.path, chunk_size=_CHUNK))
        self._put_manifest(f"{uri}/{MANIFEST}", manifest.to_bytes())
        self._sweep(uri, manifest)
        artifact = self._local.publish(output, manifest)
        shutil.rmtree(self.scratch(manifest.step, manifest.cache_key), ignore_errors=True)
        folder = scratch_uri(manifest.step, manifest.cache_key)
        self._delete([f"{folder}/{name}" for name in self._sizes(folder)])
        return artifact

    def manifest(self, uri: str) -> Manifest:
        """Get `manifest.json` below `uri`."""
        where = f"{self.root}/{uri}/{MANIFEST}"
        stored = self._ask(f"{uri}/{MANIFEST}", lambda: _small(self._store, f"{uri}/{MANIFEST}", self._seen))
        if stored is None:
            raise MissingArtifact(f"{where}: no finished artifact here; run the step that makes it")
        return Manifest.from_bytes(stored[0], where)

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
                if wrong := self._fetch(artifact.uri, manifest, record, output / record.path):
                    raise damaged(f"{self.root}/{artifact.uri}", wrong, manifest)
            for record in records:
                target = self.copies / artifact.uri / record.path
                target.parent.mkdir(parents=True, exist_ok=True)
                HASHED.move(output / record.path, target, record.sha256)

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
        names = sorted(name for name in self._sizes("artifacts") if name.count("/") == 2 and name.endswith(f"/{MANIFEST}"))
        for name in names:
            uri = f"artifacts/{name.removesuffix(f'/{MANIFEST}')}"
            with contextlib.suppress(MissingArtifact, DamagedArtifact):
                yield Artifact(uri=uri, digest=self.manifest(uri).digest)

    def delete(self, artifact: Artifact) -> None:
        """Remove the manifest, then everything below the artifact's URI, then the local copy."""
        self._delete([f"{artifact.uri}/{MANIFEST}"])
        self._delete([f"{artifact.uri}/{name}" for name in self._sizes(artifact.uri)])
        self._local.delete(artifact)

    def differences(self, artifact: Artifact) -> list[str]:
        """Compare the manifest's digest, then the hash of every file in the store, and name files nobody listed."""
        manifest = self.manifest(artifact.uri)
        wrong = [wrong_digest(artifact, manifest)]
        wrong += [self._fetch(artifact.uri, manifest, record, None) for record in manifest.files]
        listed = {record.path for record in manifest.files}
        names = self._sizes(f"{artifact.uri}/{_folder(manifest)}")
        return [*filter(None, wrong), *(f"{name}: not in the manifest" for name in sorted(set(names) - listed))]

    @property
    def _local(self) -> LocalArtifactStore:
        return LocalArtifactStore(self.copies)

    @property
    def _store(self) -> "ObjectStore":
        return _client(self.root, self.endpoint)

    @property
    def _seen(self) -> dict[str, Tagged]:
        return _seen_at(self.root, self.endpoint)

    def _ask(self, path: str, call: Callable[[], Result]) -> Result:
        """What `call` returns, as soon as the store answers."""

        def once() -> Result:
            with _refusals(f"{self.root}/{path}"):
                return call()

        return retry(f"object store {self.root}", once, StoreError)

    def _sizes(self, folder: str) -> dict[str, int]:
        return {name: meta["size"] for name, meta in self._list(folder).items()}

    def _list(self, folder: str) -> dict[str, Any]:
        def pages() -> dict[str, Any]:
            listing = _obstore().list(self._store, folder)
            return {meta["path"].removeprefix(f"{folder}/"): meta for page in listing for meta in page}

        return self._ask(folder, pages)

    def _delete(self, paths: list[str]) -> None:
        def delete() -> None:
            with contextlib.suppress(FileNotFoundError):
                _obstore().delete(self._store, paths)

        self._ask("", delete)

    def _put_manifest(self, path: str, data: bytes) -> None:
        """Put if there is none (If-None-Match), else replace exactly what was read (If-Match), until one of them succeeds."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        def put() -> bool:
            stored = _small(self._store, path, self._seen)
            # a retry may meet what an attempt whose answer was lost has put
            if stored is not None and stored[0] == data:
                return True
            mode: Any = "create" if stored is None else {"e_tag": stored[1]}
            try:
                _obstore().put(self._store, path, data, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                return False
            return True

        while not self._ask(path, put):
            pass

    def _sweep(self, uri: str, manifest: Manifest) -> None:
        """Remove what killed or former writers of this key left, by the store's own clock."""
        objects = self._list(uri)
        now = max((meta["last_modified"] for meta in objects.values()), default=None)
        ours = f"{_folder(manifest)}/"
        others = [name for name in objects if name != MANIFEST and not name.startswith(ours)]
        self._delete([f"{uri}/{name}" for name in others if now and now - objects[name]["last_modified"] > ABANDONED])

    def _fetch(self, uri: str, manifest: Manifest, record: FileRecord, path: Path | None) -> str:
        """Read a file, into `path` if there is one; what differs from its record, or nothing."""
        source = f"{uri}/{_folder(manifest)}/{record.path}"
        target = path or Path(os.devnull)
        target.parent.mkdir(parents=True, exist_ok=True)
        return self._ask(source, lambda: _fetched(self._store, source, record, target))


def store_at(root: str, home: Path) -> ArtifactStore:
    """The store of artifacts at `root`, which is a URL or the home; what it keeps on this machine lies in `home`."""
    if root == HERE:
        return LocalArtifactStore(home)
    return ObjectArtifactStore(root=root, copies=home, shared=home, endpoint=object_store_endpoint(root))


def object_store_endpoint(root: str) -> str:
    """URL of an S3 API other than Amazon's for a root in S3, from where Amazon's own tools take it, else from the profile."""
    if not root.startswith("s3://"):
        return ""
    profile = profile_of_process()
    own = profile.object_store_endpoint if profile else ""
    return variable("AWS_ENDPOINT_URL_S3") or variable("AWS_ENDPOINT_URL") or own


def require_store(root: str, endpoint: str, seconds: float) -> None:
    """List one page below `root`, once and within `seconds`. Raises `StoreError`."""
    once: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=seconds)}
    try:
        with _refusals(root):
            next(iter(_obstore().list(_connect(root, endpoint, once, timedelta(seconds=seconds)), chunk_size=1)), None)
    except TransientError as error:
        raise StoreError(str(error)) from error


def _folder(manifest: Manifest) -> str:
    return manifest.digest[:16]


def _small(store: "ObjectStore", path: str, seen: dict[str, Tagged]) -> Tagged | None:
    """A small object; None where there is none. It is sent only if it is another than what was `seen`, by path, the last time."""
    from obstore.exceptions import NotModifiedError

    try:
        answer = _obstore().get(store, path, options={"if_none_match": seen[path][1]} if path in seen else {})
    except FileNotFoundError:
        return None
    except NotModifiedError:
        return seen[path]
    seen[path] = bytes(answer.bytes()), answer.meta["e_tag"]
    return seen[path]


def _fetched(store: "ObjectStore", source: str, record: FileRecord, target: Path) -> str:
    """Download an object to `target`, hashing it on the way; how it differs from its record, or nothing."""
    try:
        answer = _obstore().get(store, source)
    except FileNotFoundError:
        return wrong_size(None, record)
    if wrong := wrong_size(answer.meta["size"], record):
        return wrong
    sha256 = hashlib.sha256()
    with target.open("wb") as stream:
        for chunk in answer.stream(min_chunk_size=_CHUNK):
            sha256.update(chunk)
            stream.write(chunk)
    return wrong_hash(sha256.hexdigest(), record)


def _obstore() -> Any:
    import obstore

    return obstore


@functools.cache
def _seen_at(root: str, endpoint: str) -> dict[str, Tagged]:
    """The small objects that this process has seen there: manifests are asked for often, and rarely change."""
    return {}


@functools.cache
def _client(root: str, endpoint: str) -> "ObjectStore":
    return _connect(root, endpoint, RETRY)


def _connect(root: str, endpoint: str, retry: Any, timeout: timedelta | None = None) -> "ObjectStore":
    from obstore.store import from_url

    config: Any = {"endpoint": endpoint} if endpoint else {}
    options: Any = {"allow_http": True} if endpoint.startswith("http://") else {}
    options |= {"timeout": timeout, "connect_timeout": timeout} if timeout else {}
    return from_url(root, config=config, client_options=options, retry_config=retry)


@contextlib.contextmanager
def _refusals(where: str) -> Iterator[None]:
    """Turn the client's errors into one line of ours, without its long report; `TransientError` where a retry may help."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError, PermissionError) as error:
        text = str(error).split("Debug source:")[0]
        reason = " ".join(text.split("<?xml")[0].split()).strip(" :")
        code = str(error).partition("<Code>")[2].partition("</Code>")[0]
        message = f"{where}: {code or reason}; look at the store's address, its bucket and its credentials"
        # obstore counts its retries in the message of what it retried, which is what is transient
        raise (TransientError if " retries, max_retries: " in text else StoreError)(message) from error
