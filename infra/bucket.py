"""Reads and writes objects below a prefix of an object store: S3 or any store with its API. GCS uses the same client, but is
untested.

The client is obstore, as in Flyte: it has conditional puts, multipart uploads and retries. Every method raises `StoreError` if
the store cannot be reached or rejects a request.
"""

import contextlib
import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from components.artifacts import FileRecord
from components.errors import StoreError
from components.ports.verification import hash_difference, size_difference
from infra.cluster.process_profile import profile_of_process
from infra.retry import TransientError, retry
from infra.variables import unsigned, variable

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

Result = TypeVar("Result")

Tagged = tuple[bytes, str]
"""An object's bytes and its ETag."""

RETRY = {"max_retries": 5, "retry_timeout": timedelta(minutes=2)}
"""obstore's own retries of one request, about 3 s if nothing listens. `infra.retry` waits longer."""

CHUNK = 16 * 2**20
"""Bytes per read and per part of an upload; S3 allows 10 000 parts per object."""


@dataclass(frozen=True)
class Bucket:
    """The objects below `root`, such as s3://bucket/prefix, by their paths relative to it.

    Credentials come from the environment, under the names that the cloud's own tools use.
    """

    root: str
    endpoint: str = ""
    """URL of an S3 API other than Amazon's; empty otherwise."""

    def get(self, path: str) -> tuple[bytes | None, str]:
        """Bytes and ETag of a small object; None and an empty string if it does not exist."""
        return self._ask(path, lambda: _small(self._client, path, self._seen)) or (None, "")

    def put(self, path: str, source: Path) -> None:
        """Upload a file, replacing an existing object."""
        self._ask(path, lambda: _obstore().put(self._client, path, source, chunk_size=CHUNK))

    def write(self, path: str, data: bytes) -> None:
        """Upload bytes, replacing an existing object."""
        self._ask(path, lambda: _obstore().put(self._client, path, data))

    def offer(self, path: str, data: bytes) -> str:
        """Upload bytes without waiting for a store that is down; returns the error message, or an empty string."""
        try:
            with _refusals(f"{self.root}/{path}"):
                _obstore().put(self._client, path, data)
        except (TransientError, StoreError) as error:
            return str(error)
        return ""

    def replace(self, path: str, data: bytes, tag: str) -> bool:
        """Upload bytes only if the object is unchanged; returns whether it was.

        `tag`: the object's known ETag (If-Match); empty: the object must not exist (If-None-Match).
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = {"e_tag": tag} if tag else "create"

        def put() -> bool:
            try:
                _obstore().put(self._client, path, data, mode=mode)
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                # an earlier attempt may have written the object although its response was lost
                stored = _small(self._client, path, self._seen)
                return stored is not None and stored[0] == data
            return True

        return self._ask(path, put)

    def fetch(self, path: str, record: FileRecord, target: Path | None) -> str:
        """Read an object, into the file `target` if given; returns how it differs from `record`, or an empty string."""
        file = target or Path(os.devnull)
        file.parent.mkdir(parents=True, exist_ok=True)
        return self._ask(path, lambda: _fetched(self._client, path, record, file))

    def objects(self, folder: str) -> "dict[str, ObjectMeta]":
        """Size, ETag and time of each object below a folder, by its path relative to the folder."""

        def pages() -> "dict[str, ObjectMeta]":
            listing = _obstore().list(self._client, folder)
            return {meta["path"].removeprefix(f"{folder}/"): meta for page in listing for meta in page}

        return self._ask(folder, pages)

    def folders(self, folder: str) -> list[str]:
        """Names of the folders directly in a folder."""

        def names() -> list[str]:
            listing = _obstore().list_with_delimiter(self._client, folder)
            return [path.rstrip("/").rpartition("/")[2] for path in listing["common_prefixes"]]

        return self._ask(folder, names)

    def sizes(self, folder: str) -> dict[str, int]:
        """Size in bytes of each object below a folder, by its path relative to the folder."""
        return {path: meta["size"] for path, meta in self.objects(folder).items()}

    def delete(self, paths: list[str]) -> None:
        """Delete the objects at these paths, if they exist."""

        def delete() -> None:
            with contextlib.suppress(FileNotFoundError):
                _obstore().delete(self._client, paths)

        self._ask("", delete)

    @property
    def _client(self) -> "ObjectStore":
        return _client(self.root, self.endpoint)

    @property
    def _seen(self) -> dict[str, Tagged]:
        return _seen_at(self.root, self.endpoint)

    def _ask(self, path: str, call: Callable[[], Result]) -> Result:
        """The result of `call`, retried while the store does not answer."""

        def once() -> Result:
            with _refusals(f"{self.root}/{path}"):
                return call()

        return retry(f"object store {self.root}", once, StoreError)


def forget_clients() -> None:
    """Drop this process's clients and their caches: a client keeps the keys and address of its first use."""
    _client.cache_clear()
    _seen_at.cache_clear()
    if (fsspec := sys.modules.get("obstore.fsspec")) is not None:
        for kind in (fsspec.FsspecStore, *fsspec.FsspecStore.__subclasses__()):
            kind.clear_instance_cache()


def object_store_endpoint(root: str) -> str:
    """URL of the S3 API for an s3:// root: from the variables that Amazon's tools read, else from the profile; empty:
    Amazon's."""
    if not root.startswith("s3://"):
        return ""
    profile = profile_of_process()
    own = profile.object_store_endpoint if profile else ""
    return variable("AWS_ENDPOINT_URL_S3") or variable("AWS_ENDPOINT_URL") or own


def require_store(root: str, endpoint: str, seconds: float) -> None:
    """Check that objects below `root` can be listed, in one attempt of at most `seconds`. Raises `StoreError`."""
    once: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=seconds)}
    try:
        with _refusals(root):
            next(iter(_obstore().list(_connect(root, endpoint, once, timedelta(seconds=seconds)), chunk_size=1)), None)
    except TransientError as error:
        raise StoreError(str(error)) from error


def require_writable(root: str, endpoint: str, seconds: float) -> None:
    """Check that an object below `root` can be written, in one attempt of at most `seconds`. Raises `StoreError`.

    The object, `.writable`, is deleted again if that is allowed.
    """
    once: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=seconds)}
    store = _connect(root, endpoint, once, timedelta(seconds=seconds))
    try:
        with _refusals(f"{root}/.writable"):
            _obstore().put(store, ".writable", b"")
    except TransientError as error:
        raise StoreError(str(error)) from error
    with contextlib.suppress(TransientError, StoreError), _refusals(f"{root}/.writable"):
        _obstore().delete(store, ".writable")


def _small(store: "ObjectStore", path: str, seen: dict[str, Tagged]) -> Tagged | None:
    """A small object; None if it does not exist. Downloaded only if it differs from the one in the cache `seen`."""
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
    """Download an object to `target` and hash it; returns how it differs from `record`, or an empty string."""
    try:
        answer = _obstore().get(store, source)
    except FileNotFoundError:
        return size_difference(None, record)
    if wrong := size_difference(answer.meta["size"], record):
        return wrong
    sha256 = hashlib.sha256()
    with target.open("wb") as stream:
        for chunk in answer.stream(min_chunk_size=CHUNK):
            sha256.update(chunk)
            stream.write(chunk)
    return hash_difference(sha256.hexdigest(), record)


def _obstore() -> Any:
    import obstore

    return obstore


@functools.cache
def _seen_at(root: str, endpoint: str) -> dict[str, Tagged]:
    """Cache of small objects in this process, by path: manifests are read often and rarely change."""
    return {}


@functools.cache
def _client(root: str, endpoint: str) -> "ObjectStore":
    return _connect(root, endpoint, RETRY)


def _connect(root: str, endpoint: str, retry: Any, timeout: timedelta | None = None) -> "ObjectStore":
    from obstore.store import from_url

    config: Any = {"endpoint": endpoint} if endpoint else {}
    config |= {"skip_signature": True} if unsigned(endpoint) else {}
    options: Any = {"allow_http": True} if endpoint.startswith("http://") else {}
    options |= {"timeout": timeout, "connect_timeout": timeout} if timeout else {}
    return from_url(root, config=config, client_options=options, retry_config=retry)


@contextlib.contextmanager
def _refusals(where: str) -> Iterator[None]:
    """Turn the client's long errors into one-line errors of ours; `TransientError` if a retry may help."""
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError, PermissionError) as error:
        text = str(error).split("Debug source:")[0]
        reason = " ".join(text.split("<?xml")[0].split()).strip(" :")
        code = str(error).partition("<Code>")[2].partition("</Code>")[0]
        message = f"{where}: {code or reason}; check the store's address, bucket and credentials"
        # obstore mentions its retries in the message of every error that it retried, that is, of every transient one
        raise (TransientError if " retries, max_retries: " in text else StoreError)(message) from error
