"""Reads repositories of the Hugging Face hub, by its HTTP API.

URIs have the form that the hub's own tools use: `hf://datasets/NAME@REVISION/PATH` and `hf://models/NAME@REVISION/PATH`. NAME is
`OWNER/REPOSITORY`, REVISION a branch, tag or commit (default: main), and PATH a file or folder (default: everything).

`HF_ENDPOINT` and `HF_TOKEN` are the hub's own variables for another server and for private repositories. The hub's Python client
is not used: images without machine-learning packages do not have it, and a run keeps it offline.
API: https://huggingface.co/docs/hub/api and https://huggingface.co/.well-known/openapi.json
"""

import functools
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urljoin

from components.errors import ConfigError, StoreError

if TYPE_CHECKING:
    import httpx

Result = TypeVar("Result")

SCHEME = "hf://"

DATASETS, MODELS = "datasets", "models"

_COMMIT = re.compile(r"[0-9a-f]{40}")
_URI = re.compile(
    r"hf://(?:(?P<kind>datasets|models)/)?(?P<name>(?!datasets/|models/)[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/]+))?(?:/(?P<path>.*))?"
)

_ATTEMPTS = 4
"""Attempts at a request that fails for a transient reason."""

_PAUSE = 1.0
"""Seconds before the second attempt; each further pause is twice as long."""

_CHUNK = 1 << 20
"""Bytes written at a time."""

_ABSENT = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
"""HTTP statuses of a repository that does not exist or is private: for users without access, the hub answers the same."""

_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses after which a request is repeated."""

_SECONDS = 60.0
"""Seconds without a byte after which a request has failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HubFile:
    """A file of a repository."""

    path: str
    """Path in the repository."""
    size: int
    """Size in bytes."""
    digest: str
    """sha256 in hex of a large file, or git's hash of the blob of a small one: changes when the content does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HubURI:
    """A file or folder of a repository."""

    kind: str
    """`DATASETS` or `MODELS`; empty: not known."""
    name: str
    """`OWNER/REPOSITORY`."""
    revision: str
    """Branch, tag or commit. In a URI, a slash in it is written as %2F."""
    path: str
    """Path in the repository without slashes at its ends; empty: all of it."""

    def __str__(self) -> str:
        kind, path = f"{self.kind}/" if self.kind else "", f"/{self.path}" if self.path else ""
        return f"{SCHEME}{kind}{self.name}@{quote(self.revision, safe='')}{path}"

    @property
    def parent(self) -> "HubURI":
        """The folder that contains it."""
        return replace(self, path=self.path.rpartition("/")[0])

    @property
    def pinned(self) -> bool:
        """Whether it names the kind and a commit, so that it always means the same bytes."""
        return bool(self.kind) and bool(_COMMIT.fullmatch(self.revision))


def parse(uri: str) -> HubURI:
    """The components of a URI. Raises `ConfigError` if it has another form."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise ConfigError(
            f"{uri!r}: not a URI of the hub; allowed: hf://datasets/OWNER/NAME@REVISION/PATH, or hf://OWNER/NAME@REVISION"
        )
    revision = (match["revision"] or "main").replace("%2F", "/").replace("%2f", "/")
    return HubURI(kind=match["kind"] or "", name=match["name"], revision=revision, path=(match["path"] or "").strip("/"))


def pinned(uri: str, kinds: Sequence[str] = (DATASETS, MODELS)) -> HubURI:
    """The URI with its kind, and with the commit that its revision means now.

    A URI without a kind means the first of `kinds` that has a repository of this name.

    Raises:
        ConfigError: the URI has another form.
        StoreError: there is no such repository or revision, access is denied, or the hub cannot be reached.
    """
    wanted = parse(uri)
    if wanted.pinned:
        return wanted
    for kind in (wanted.kind,) if wanted.kind else kinds:
        if facts := _facts(kind, wanted.name, wanted.revision):
            return replace(wanted, kind=kind, revision=str(facts["sha"]))
    raise StoreError(
        f"{uri}: {_endpoint()} has no repository {wanted.name} with revision {wanted.revision} that you may read; check the name "
        "and the revision, and for a private or gated repository accept its terms and set HF_TOKEN"
    )


def licence(uri: str) -> str:
    """The licence that the card of a repository states, as the hub writes it, such as `apache-2.0`; empty if it states none.

    Raises the errors of `pinned`.
    """
    chosen = pinned(uri)
    tags = (_facts(chosen.kind, chosen.name, chosen.revision) or {}).get("tags") or ()
    return next((str(tag).removeprefix("license:") for tag in tags if str(tag).startswith("license:")), "")


@functools.cache
def files(uri: HubURI) -> tuple[HubFile, ...]:
    """Every file at or below a pinned URI, sorted by path; empty if there is none. Raises `StoreError`.

    The listing of a commit never changes, so it is requested once per process.
    """
    entries = _tree(uri)
    if entries is None:  # the path is a file, or does not exist
        return tuple(file for file in files(uri.parent) if file.path == uri.path) if uri.path else ()
    listed = [
        HubFile(path=entry["path"], size=int(entry["size"]), digest=str((entry.get("lfs") or entry)["oid"]))
        for entry in entries
        if entry["type"] == "file"
    ]
    return tuple(sorted(listed, key=lambda file: file.path))


def file(uri: HubURI) -> HubFile:
    """The file at a pinned URI. Raises `FileNotFoundError` if there is none, and `StoreError`."""
    for listed in files(uri.parent):  # a listing that the other files of the folder share
        if listed.path == uri.path:
            return listed
    raise FileNotFoundError(f"{uri} does not exist")


def download(uri: HubURI, target: IO[bytes]) -> None:
    """Write the content of the file at a pinned URI to `target`, an empty file. Raises `StoreError`."""
    prefix = "" if uri.kind == MODELS else f"{uri.kind}/"
    url = f"{_endpoint()}/{prefix}{uri.name}/resolve/{uri.revision}/{quote(uri.path)}"

    def stream() -> bool:
        target.seek(0)
        target.truncate()
        with _client(_token()).stream("GET", url) as answer:
            if answer.status_code in _ABSENT:
                return False
            for chunk in answer.raise_for_status().iter_bytes(_CHUNK):
                target.write(chunk)
        return True

    if not _repeated(stream, str(uri)):
        raise StoreError(f"{uri}: you may not read this file; accept the terms of the repository on the hub, and set HF_TOKEN")


@contextmanager
def opened(uri: HubURI) -> Iterator[IO[bytes]]:
    """Yield the content of the file at a pinned URI, in a temporary file. Raises `StoreError`."""
    with tempfile.TemporaryFile() as copy:
        download(uri, copy)
        copy.seek(0)
        yield copy


def _facts(kind: str, name: str, revision: str) -> Mapping[str, Any] | None:
    """What the hub knows about a repository at a revision; None if there is none that may be read."""
    answer = _get(f"{_endpoint()}/api/{kind}/{name}/revision/{quote(revision, safe='')}")
    return None if answer is None else dict(answer.json())


def _tree(uri: HubURI) -> list[Mapping[str, Any]] | None:
    """The entries below a folder, over all pages of the listing; None if there is no such folder."""
    folder = f"/{quote(uri.path)}" if uri.path else ""
    url = f"{_endpoint()}/api/{uri.kind}/{uri.name}/tree/{uri.revision}{folder}?recursive=true"
    entries: list[Mapping[str, Any]] = []
    while url:
        answer = _get(url)
        if answer is None:
            return None
        entries += answer.json()
        url = urljoin(url, answer.links["next"]["url"]) if "next" in answer.links else ""
    return entries


def _get(url: str) -> "httpx.Response | None":
    """The answer to a request of the API; None if what it asks for does not exist, or not for this user."""

    def ask() -> "httpx.Response | None":
        answer = _client(_token()).get(url)
        return None if answer.status_code in _ABSENT else answer.raise_for_status()

    return _repeated(ask, url)


def _repeated(request: Callable[[], Result], what: str) -> Result:
    """The result of a request, which is repeated after transient failures. Raises `StoreError` after the last attempt."""
    import httpx

    for attempt in range(_ATTEMPTS):
        try:
            return request()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
            if attempt == _ATTEMPTS - 1 or (status is not None and status not in _TRANSIENT):
                reason = f"it answered with status {status}" if status else type(error).__name__
                raise StoreError(
                    f"{what}: cannot be read from the hub ({reason}); check the network, HF_ENDPOINT and HF_TOKEN"
                ) from error
        time.sleep(_PAUSE * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


@functools.cache
def _client(token: str) -> "httpx.Client":
    import httpx

    # httpx does not send this header to the other hosts that the hub redirects to
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(headers=headers, follow_redirects=True, timeout=_SECONDS)


def _token() -> str:
    return os.environ.get("HF_TOKEN", "")


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
