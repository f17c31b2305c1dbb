"""Where raw files are: on this machine, or in an S3 bucket, which is read through fsspec on obstore.

obstore takes endpoint, region and keys from the environment (`AWS_ENDPOINT_URL`, `AWS_REGION`,
`AWS_ACCESS_KEY_ID`, …; `AWS_ALLOW_HTTP=true` for an endpoint without TLS), and retries by itself.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from components.artifacts import sha256_of_file
from components.curation.reading.config import PYTHON_ENVIRONMENT
from components.errors import ConfigError, SourceError, StoreError, single_line

S3 = "s3://"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """A file below a URI."""

    relative: str
    """Path below the URI with forward slashes; the name of the file where the URI is the file itself."""
    location: str
    """Absolute path, or `s3://` URI."""
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
    if uri.startswith(S3):
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
        allowed = f"{PYTHON_ENVIRONMENT}, a path, file:// or {S3}"
        raise ConfigError(f"source {uri!r}: scheme {split.scheme!r} is not supported; allowed: {allowed}")
    return Path(uri).expanduser().absolute()


@contextlib.contextmanager
def fetched(location: str, scratch: Path) -> Iterator[Path]:
    """The file at a location as a local path; an object is fetched below `scratch` once and deleted after the block.

    Raises:
        StoreError: the object store cannot be reached, or refuses.
    """
    if not location.startswith(S3):
        yield Path(location)
        return
    # Readers are chosen by suffix, so the copy keeps the name.
    copy = scratch / "fetched" / location.rpartition("/")[2]
    copy.parent.mkdir(parents=True, exist_ok=True)
    with _store_errors(location):
        _file_system().get_file(location, str(copy))
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def read_bytes(location: str) -> bytes:
    """The bytes of a small file. Raises `StoreError` where the object store cannot be reached, or refuses."""
    if not location.startswith(S3):
        return Path(location).read_bytes()
    with _store_errors(location):
        return bytes(_file_system().cat_file(location))


def sha256_at(location: str) -> str:
    """sha256 of the bytes at a location, in hex, streamed.

    Raises:
        OSError: a local file cannot be read.
        StoreError: the object store cannot be reached, or refuses.
    """
    if not location.startswith(S3):
        return sha256_of_file(Path(location))
    import hashlib

    with _store_errors(location), _file_system().open(location, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def state_of(location: str) -> str:
    """Changes when the content does: the sha256 of a local file; the ETag and size of an object, without downloading it."""
    if not location.startswith(S3):
        return sha256_of_file(Path(location))
    with _store_errors(location):
        facts = _file_system().info(location)
    return f"{facts.get('e_tag')} {facts['size']}"


def stamp_of(location: str) -> str:
    """Changes when the file does, without reading it: the modification time of a local file in ns, the ETag of an object.

    Raises what `state_of` raises.
    """
    return state_of(location) if location.startswith(S3) else str(Path(location).stat().st_mtime_ns)


def _find_objects(uri: str, name: str) -> list[FileEntry]:
    with _store_errors(uri):
        system = _file_system()
        try:
            # If the URI is an object itself, only its path is returned.
            facts = {path: fact or system.info(path) for path, fact in system.find(uri, detail=True).items()}
        except FileNotFoundError:
            facts = {}
    entries = [
        FileEntry(
            relative=path.removeprefix(uri.removeprefix(S3)).strip("/") or path.rpartition("/")[2],
            location=S3 + path,
            size=fact["size"],
            stamp=str(fact["e_tag"]),
        )
        for path, fact in sorted((path.removeprefix(S3), fact) for path, fact in facts.items())
        if not path.endswith("/")
    ]
    if not entries:
        raise SourceError(f"source {name}: {uri} does not exist")
    return entries


def _file_system() -> Any:
    from obstore.fsspec import FsspecStore

    return FsspecStore("s3")


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
