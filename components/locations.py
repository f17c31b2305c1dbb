"""Where raw files are: on this machine, or in a bucket, which is read through fsspec on obstore.

obstore takes endpoint, region and keys from the environment (`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, …;
`AWS_ALLOW_HTTP=true` for an endpoint without TLS; of Google's store `GOOGLE_APPLICATION_CREDENTIALS`), and retries by itself.
Google's was not tried.
"""

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from components.artifacts import sha256_of_file
from components.errors import ConfigError, SourceError, StoreError, single_line

BUCKETS = ("s3://", "gs://")
"""How the URI of an object in a bucket starts."""


def in_bucket(uri: str) -> bool:
    """Whether a URI or location is that of an object in a bucket, or of a folder there."""
    return uri.startswith(BUCKETS)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """A file below a URI."""

    relative: str
    """Path below the URI with forward slashes; the name of the file where the URI is the file itself."""
    location: str
    """Absolute path, or URI in a bucket."""
    size: int
    """Bytes."""
    stamp: str
    """Changes when the file does, without reading it: the time of its last modification, or the ETag of an object."""


def find(uri: str, name: str) -> list[FileEntry]:
    """Every file at or below `uri`, sorted by path; `name` names the source in errors.

    Links to folders are followed; a folder that was visited before, by another path, is not visited again.

    Raises:
        SourceError: nothing exists there.
        ConfigError: an unknown scheme.
        StoreError: the object store cannot be reached, or refuses.
    """
    if in_bucket(uri):
        return _find_objects(uri.rstrip("/"), name)
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
    """The local path that a path or `file://` URI means. Raises `ConfigError` for an unknown scheme."""
    split = urlsplit(uri)
    if split.scheme == "file":
        return Path(unquote(split.path))
    if split.scheme and "://" in uri:
        allowed = f"a path, file://, {' or '.join(BUCKETS)}"
        raise ConfigError(f"source {uri!r}: scheme {split.scheme!r} is not supported; allowed: {allowed}")
    return Path(uri).expanduser().absolute()


@contextlib.contextmanager
def fetched(location: str, scratch: Path) -> Iterator[Path]:
    """The file at a location as a local path; an object is fetched below `scratch` once and deleted after the block.

    Raises:
        StoreError: the object store cannot be reached, or refuses.
    """
    if not in_bucket(location):
        yield Path(location)
        return
    # Readers are chosen by suffix, so the copy keeps the name.
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
    """The file at a path or URI as a local path; an object is fetched into a temporary directory.

    Raises what `fetched` and `path_of` raise.
    """
    if not in_bucket(uri):
        yield path_of(uri)
        return
    with tempfile.TemporaryDirectory() as scratch, fetched(uri, Path(scratch)) as path:
        yield path


@contextlib.contextmanager
def fetched_folder(uri: str, patterns: Sequence[str]) -> Iterator[Path]:
    """The folder at a path or URI as a local path; of one in a bucket, the files in it with names of those patterns.

    Raises:
        SourceError: the bucket has nothing there.
        StoreError: the object store cannot be reached, or refuses.
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
    """The files in a folder, and not below it, with names of those patterns, sorted; none where there is no folder.

    Raises:
        StoreError: the object store cannot be reached, or refuses.
    """
    try:
        entries = [entry for entry in find(uri, uri) if "/" not in entry.relative] if in_bucket(uri) else _in_folder(path_of(uri))
    except SourceError:
        return []
    return [entry for entry in entries if any(fnmatch(entry.relative, pattern) for pattern in patterns)]


def _in_folder(folder: Path) -> list[FileEntry]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [_entry(path, path.name) for path in paths if path.is_file()]


def size_of(location: str) -> int:
    """Bytes of the file at a location. Raises what `state_of` raises."""
    if not in_bucket(location):
        return Path(location).stat().st_size
    with _store_errors(location):
        return int(_file_system(location).info(location)["size"])


def read_bytes(location: str) -> bytes:
    """The bytes of a small file. Raises `StoreError` where the object store cannot be reached, or refuses."""
    if not in_bucket(location):
        return Path(location).read_bytes()
    with _store_errors(location):
        return bytes(_file_system(location).cat_file(location))


def sha256_at(location: str) -> str:
    """sha256 of the bytes at a location, in hex, streamed.

    Raises:
        OSError: a local file cannot be read.
        StoreError: the object store cannot be reached, or refuses.
    """
    if not in_bucket(location):
        return sha256_of_file(Path(location))
    import hashlib

    with _store_errors(location), _file_system(location).open(location, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def state_of(location: str) -> str:
    """Changes when the content does: the sha256 of a local file; the ETag and size of an object, without downloading it."""
    if not in_bucket(location):
        return sha256_of_file(Path(location))
    with _store_errors(location):
        facts = _file_system(location).info(location)
    return f"{facts.get('e_tag')} {facts['size']}"


def stamp_of(location: str) -> str:
    """Changes when the file does, without reading it: the modification time of a local file in ns, the ETag of an object.

    Raises what `state_of` raises.
    """
    return state_of(location) if in_bucket(location) else str(Path(location).stat().st_mtime_ns)


def _find_objects(uri: str, name: str) -> list[FileEntry]:
    with _store_errors(uri):
        system = _file_system(uri)
        try:
            # If the URI is an object itself, only its path is returned.
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
    protocol: Any = location.partition("://")[0]
    return _plain_store()(protocol)


@functools.cache
def _plain_store() -> Any:
    from obstore.fsspec import FsspecStore

    class PlainStore(FsspecStore):
        """Names of objects as they are: the library takes them for URLs, and cuts them at `#` and `?` (obstore 0.12)."""

        def _split_path(self, path: str) -> tuple[str, str]:
            bucket, _, key = path.rpartition("://")[2].partition("/")
            return bucket, key

    return PlainStore


@contextlib.contextmanager
def _store_errors(location: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        reason = single_line(error, 300)
        raise StoreError(
            f"{location}: cannot be read from the object store ({reason}); check the bucket, the endpoint and the keys"
        ) from error
