"""Lists, fetches and hashes raw files: on this machine, in a bucket, or on the Hugging Face hub (`components.hub`).

Buckets are read with obstore's fsspec interface. For every function here, a repository is a bucket with read-only objects.

obstore reads endpoint, region and keys from environment variables (S3: `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
…, and `AWS_ALLOW_HTTP=true` for an endpoint without TLS; Google Cloud Storage: `GOOGLE_APPLICATION_CREDENTIALS`) and retries
failed requests. Google Cloud Storage has not been tested.
"""

import contextlib
import functools
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any, BinaryIO, TypedDict
from urllib.parse import unquote, urlsplit

from components import hub
from components.artifacts import sha256_of_file
from components.errors import ConfigError, SourceError, StoreError, single_line
from components.raw_files import RawRecord

BUCKETS = ("s3://", "gs://", hub.SCHEME)
"""URI schemes of object stores and of the hub."""


def in_bucket(uri: str) -> bool:
    """Whether a URI or location names an object or a folder in a bucket, or in a repository of the hub."""
    return uri.startswith(BUCKETS)


def pinned(uri: str, kinds: Sequence[str] = (hub.DATASETS, hub.MODELS)) -> str:
    """`uri` with the commit that its revision means now, if it is of the hub; any other URI as it is.

    Raises:
        ConfigError: it is not a URI of the hub.
        StoreError: there is no such repository or revision, access is denied, or the hub cannot be reached.
    """
    return str(hub.pinned(uri, kinds)) if uri.startswith(hub.SCHEME) else uri


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """A file below a URI."""

    relative: str
    """Path below the URI, with forward slashes; the file's name if the URI is the file itself."""
    location: str
    """Absolute path, or URI in a bucket."""
    size: int
    """Size in bytes."""
    stamp: str
    """Modification time of a local file in ns, or ETag of an object: shows that the file changed, without reading it."""


def find(uri: str, name: str) -> list[FileEntry]:
    """Every file at or below `uri`, sorted by path; `name` is the name of the source in error messages.

    In the locations of files of the hub, the revision is the commit that it means now.

    Symbolic links to folders are followed. A folder that is reachable by several paths is visited once.

    Raises:
        SourceError: `uri` does not exist.
        ConfigError: the URI scheme is not supported.
        StoreError: the object store cannot be reached or refuses the request.
    """
    if in_bucket(uri):
        return _find_objects(pinned(uri).rstrip("/"), name)
    root = path_of(uri)
    if not root.exists():
        raise SourceError(f"source {name}: {root} does not exist")
    paths = sorted(_files_below(root)) if root.is_dir() else [root]
    return [_entry(path, path.relative_to(root).as_posix() if path != root else path.name) for path in paths]


def _entry(path: Path, relative: str) -> FileEntry:
    return FileEntry(relative=relative, location=str(path), size=path.stat().st_size, stamp=stamp_of(str(path)))


def _files_below(root: Path) -> Iterator[Path]:
    seen = set()
    for folder, inner, names in os.walk(root, followlinks=True):
        resolved = os.path.realpath(folder)
        if resolved in seen:
            inner.clear()
            continue
        seen.add(resolved)
        inner.sort()
        yield from (path for name in names if (path := Path(folder, name)).is_file())


def path_of(uri: str) -> Path:
    """The absolute local path of a path or `file://` URI. Raises `ConfigError` for any other scheme."""
    split = urlsplit(uri)
    if split.scheme == "file":
        return Path(unquote(split.path))
    if split.scheme and "://" in uri:
        allowed = f"a path, file://, {' or '.join(BUCKETS)}"
        raise ConfigError(f"{uri!r}: the URI scheme {split.scheme!r} is not supported; allowed: {allowed}")
    return Path(uri).expanduser().absolute()


def licence_of(uri: str) -> str:
    """The licence that a repository of the hub states, such as `apache-2.0`; empty if it states none, and for any other URI.

    Raises the errors of `pinned`.
    """
    return hub.licence(uri) if uri.startswith(hub.SCHEME) else ""


@contextlib.contextmanager
def fetched(location: str, scratch: Path) -> Iterator[Path]:
    """Yield a local path of the file at a location; an object is downloaded below `scratch` and deleted after the block.

    Raises:
        StoreError: the object store cannot be reached or refuses the request.
    """
    if not in_bucket(location):
        yield Path(location)
        return
    # Readers are chosen by file suffix, so the copy keeps its name.
    copy = scratch / "fetched" / location.rpartition("/")[2]
    copy.parent.mkdir(parents=True, exist_ok=True)
    with _store_errors(location):
        _file_system(location).get_file(location, str(copy))
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)


@contextlib.contextmanager
def fetched_file(uri: str) -> Iterator[Path]:
    """Yield a local path of the file at a path or URI; an object is downloaded into a temporary directory.

    Raises the errors of `fetched` and `path_of`.
    """
    if not in_bucket(uri):
        yield path_of(uri)
        return
    with tempfile.TemporaryDirectory() as scratch, fetched(uri, Path(scratch)) as path:
        yield path


@contextlib.contextmanager
def fetched_folder(uri: str, patterns: Sequence[str]) -> Iterator[Path]:
    """Yield a local path of a folder. From a bucket, the files directly in it that match a pattern are downloaded.

    Raises:
        StoreError: the object store cannot be reached or refuses the request.
    """
    if not in_bucket(uri):
        yield path_of(uri)
        return
    with tempfile.TemporaryDirectory() as folder:
        for entry in files_in(uri, patterns):
            with _store_errors(entry.location):
                _file_system(uri).get_file(entry.location, str(Path(folder, entry.relative)))
        yield Path(folder)


def files_in(uri: str, patterns: Sequence[str]) -> list[FileEntry]:
    """The files directly in a folder whose names match one of the patterns, sorted; empty if the folder does not exist.

    A repository of the hub is one of a model, unless the URI says otherwise.

    Raises:
        StoreError: the object store cannot be reached or refuses the request.
    """
    try:
        entries = _in_bucket_folder(uri) if in_bucket(uri) else _in_folder(path_of(uri))
    except SourceError:
        return []
    return [entry for entry in entries if any(fnmatch(entry.relative, pattern) for pattern in patterns)]


def _in_bucket_folder(uri: str) -> list[FileEntry]:
    entries = find(pinned(uri, (hub.MODELS, hub.DATASETS)), uri)
    return [entry for entry in entries if "/" not in entry.relative]


def _in_folder(folder: Path) -> list[FileEntry]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [_entry(path, path.name) for path in paths if path.is_file()]


def fingerprint(files: Sequence[FileEntry]) -> str:
    """sha256 hex over the names and contents (for objects in a store, the ETags) of files. Raises what `state_of` raises."""
    rows = [f"{file.relative} {state_of(file.location)}" for file in files]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def raw_records(files: Sequence[FileEntry], source: str) -> list[RawRecord]:
    """The files as raw files of a source. Raises what `sha256_at` raises."""
    return [
        RawRecord(source=source, path=file.relative, sha256=sha256_at(file.location), bytes=file.size, uri=file.location)
        for file in files
    ]


def size_of(location: str) -> int:
    """Size in bytes of the file at a location. Raises `OSError` for a local file, `StoreError` for an object."""
    if not in_bucket(location):
        return Path(location).stat().st_size
    with _store_errors(location):
        return int(_file_system(location).info(location)["size"])


def read_bytes(location: str) -> bytes:
    """The content of a small file. Raises `OSError` for a local file, `StoreError` for an object."""
    if not in_bucket(location):
        return Path(location).read_bytes()
    with _store_errors(location):
        return bytes(_file_system(location).cat_file(location))


def has_ranges(location: str) -> bool:
    """Whether `read_ranges` can read a file, which the hub's are not: it sends one range at a time."""
    return not location.startswith(hub.SCHEME)


def read_ranges(location: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """The bytes from start to stop of each range of a file, several at a time from a bucket. Raises what `read_bytes` raises."""
    if not in_bucket(location):
        with Path(location).open("rb") as stream:
            return [_read_range(stream, start, stop) for start, stop in ranges]
    with _store_errors(location):
        starts, stops = zip(*ranges, strict=True)
        return list(_file_system(location).cat_ranges([location] * len(ranges), list(starts), list(stops), on_error="raise"))


def _read_range(stream: BinaryIO, start: int, stop: int) -> bytes:
    stream.seek(start)
    return stream.read(stop - start)


def sha256_at(location: str) -> str:
    """sha256 of the file at a location, in hex. The file is streamed, not loaded into memory.

    Raises:
        OSError: a local file cannot be read.
        StoreError: the object store cannot be reached or refuses the request.
    """
    if not in_bucket(location):
        return sha256_of_file(Path(location))
    with _store_errors(location), _file_system(location).open(location, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def state_of(location: str) -> str:
    """A string that changes when the content does: sha256 of a local file; ETag and size of an object, which is not downloaded.

    Raises `OSError` for a local file, `StoreError` for an object.
    """
    if not in_bucket(location):
        return sha256_of_file(Path(location))
    with _store_errors(location):
        facts = _file_system(location).info(location)
    return f"{facts.get('e_tag')} {facts['size']}"


def stamp_of(location: str) -> str:
    """A string that changes when the file does, without reading it: modification time of a local file in ns; state of an object.

    Raises the errors of `state_of`.
    """
    return state_of(location) if in_bucket(location) else str(Path(location).stat().st_mtime_ns)


def _find_objects(uri: str, name: str) -> list[FileEntry]:
    with _store_errors(uri):
        system = _file_system(uri)
        try:
            # If the URI is an object itself, find returns only its path, without its size and ETag.
            facts = {path: fact or system.info(path) for path, fact in system.find(uri, detail=True).items()}
        except FileNotFoundError:
            facts = {}
    scheme, _, folder = uri.partition("://")
    entries = [
        FileEntry(
            relative=path.removeprefix(folder).strip("/") or path.rpartition("/")[2],
            location=f"{scheme}://{path}",
            size=fact["size"],
            stamp=str(fact["e_tag"]),
        )
        for path, fact in sorted((path.rpartition("://")[2], fact) for path, fact in facts.items())
        if not path.endswith("/")
    ]
    if not entries:
        raise SourceError(f"source {name}: {uri} does not exist")
    return entries


def _file_system(location: str) -> Any:
    if location.startswith(hub.SCHEME):
        return _HubFiles()
    protocol: Any = location.partition("://")[0]
    return _plain_store()(protocol)


@functools.cache
def _plain_store() -> Any:
    from obstore.fsspec import FsspecStore

    class PlainStore(FsspecStore):
        """Keeps `#` and `?` in object names: obstore 0.12 parses the names as URLs and would cut them there."""

        def _split_path(self, path: str) -> tuple[str, str]:
            bucket, _, key = path.rpartition("://")[2].partition("/")
            return bucket, key

    return PlainStore


class _FileFacts(TypedDict):
    """What fsspec says about a file."""

    size: int
    e_tag: str


class _HubFiles:
    """The hub as a file system of fsspec, with the methods that this module calls."""

    def find(self, uri: str, *, detail: bool) -> dict[str, _FileFacts]:
        folder = hub.pinned(uri)
        return {str(replace(folder, path=file.path)): self._facts(file) for file in hub.files(folder)}

    def info(self, uri: str) -> _FileFacts:
        return self._facts(hub.file(hub.pinned(uri)))

    def get_file(self, uri: str, target: str) -> None:
        with Path(target).open("w+b") as stream:
            hub.download(hub.pinned(uri), stream)

    def cat_file(self, uri: str) -> bytes:
        with self.open(uri, "rb") as stream:
            return stream.read()

    def open(self, uri: str, mode: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        return hub.opened(hub.pinned(uri))

    def _facts(self, file: hub.HubFile) -> _FileFacts:
        return {"size": file.size, "e_tag": file.digest}


@contextlib.contextmanager
def _store_errors(location: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        reason = single_line(error, 300)
        raise StoreError(
            f"{location}: cannot be read from the object store ({reason}); check the bucket, the endpoint and the access keys"
        ) from error
