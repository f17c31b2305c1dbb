"""A server that speaks the API of the Hugging Face hub: repositories with commits, listings in pages, large files elsewhere."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 2
"""Entries in a page of a listing."""

LARGE = 1000
"""Bytes from which a file is kept outside of git, at another host."""


@dataclass
class Repository:
    """A repository with one branch, main."""

    files: Mapping[str, bytes]
    licence: str = ""
    token: str = ""
    """Token without which it may not be read; empty: everybody may."""
    gated: bool = False
    """Whether everybody may list it, but only those with the token may read its files."""
    earlier: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    """Files by commit."""

    @property
    def commit(self) -> str:
        """The newest commit: a hash of all files."""
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()

    def at(self, revision: str) -> tuple[str, Mapping[str, bytes]] | None:
        """The commit and files of a revision; None if there is none."""
        if revision in {"main", "refs/pr/1", self.commit}:
            return self.commit, self.files
        return (revision, self.earlier[revision]) if revision in self.earlier else None

    def push(self, files: Mapping[str, bytes]) -> None:
        """Move the branch to other files; the commit before stays readable."""
        self.earlier[self.commit] = self.files
        self.files = files


@dataclass
class Hub:
    """The repositories of a running hub, by `datasets/OWNER/NAME` and `models/OWNER/NAME`."""

    url: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """Paths of all requests so far."""
    failures: list[int] = field(default_factory=list)
    """Statuses of the next answers, before requests are answered as they should be."""
    tokens_elsewhere: list[str] = field(default_factory=list)
    """Credentials that the host of large files received."""


def entry(path: str, content: bytes) -> dict[str, Any]:
    """A file in a listing."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    large = {"lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}}
    return {"type": "file", "path": path, "size": len(content), "oid": blob, **(large if len(content) >= LARGE else {})}


@contextmanager
def hub() -> Iterator[Hub]:
    """A running hub without repositories."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        running = Hub(url=f"http://127.0.0.1:{server.server_port}")
        server.hub = running  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    @property
    def hub(self) -> Hub:
        running: Hub = self.server.hub  # type: ignore[attr-defined]
        return running

    def do_GET(self) -> None:
        self.hub.requests.append(self.path)
        if self.hub.failures:
            self._answer(self.hub.failures.pop(0), b"")
            return
        split = urlsplit(self.path)
        words = split.path.strip("/").split("/")
        if words[0] == "elsewhere":
            self._elsewhere(words[1])
        elif words[0] == "api":
            self._api(words[1:], {name: values[0] for name, values in parse_qs(split.query).items()})
        else:
            self._resolve(words)

    def _repository(self, name: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        hidden = repository is not None and repository.token and not repository.gated and not self._permitted(repository)
        return None if hidden else repository

    def _permitted(self, repository: Repository) -> bool:
        return not repository.token or self.headers.get("Authorization") == f"Bearer {repository.token}"

    def _api(self, words: list[str], query: dict[str, str]) -> None:
        kind, owner, name, what, revision, *path = words
        repository = self._repository(f"{kind}/{owner}/{name}")
        at = repository.at(unquote(revision)) if repository else None
        if repository is None or at is None:
            self._answer(404 if repository else 401, b'{"error": "not found"}')
        elif what == "revision":
            tags = [f"license:{repository.licence}"] if repository.licence else []
            self._answer(200, json.dumps({"id": f"{owner}/{name}", "sha": at[0], "tags": tags}).encode())
        else:
            self._tree(at[1], unquote("/".join(path)), query)

    def _tree(self, files: Mapping[str, bytes], folder: str, query: dict[str, str]) -> None:
        below = {path: content for path, content in sorted(files.items()) if not folder or path.startswith(f"{folder}/")}
        if folder and not below:
            self._answer(404, b'{"error": "not found"}')
            return
        folders = sorted({path.rpartition("/")[0] for path in below if "/" in path})
        entries = [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in folders]
        entries += [entry(path, content) for path, content in below.items()]
        first = int(query.get("cursor", 0))
        more = urlsplit(self.path).path + f"?recursive=true&cursor={first + PAGE}"
        link = {"Link": f'<{self.hub.url}{more}>; rel="next"'} if first + PAGE < len(entries) else {}
        self._answer(200, json.dumps(entries[first : first + PAGE]).encode(), link)

    def _resolve(self, words: list[str]) -> None:
        kind, words = ("datasets", words[1:]) if words[0] == "datasets" else ("models", words)
        owner, name, _, revision, *path = words
        repository = self._repository(f"{kind}/{owner}/{name}")
        at = repository.at(revision) if repository else None
        content = at[1].get(unquote("/".join(path))) if at else None
        if repository is None or content is None or not self._permitted(repository):
            self._answer(403 if repository and not self._permitted(repository) else 404, b"")
        elif len(content) < LARGE:
            self._answer(200, content)
        else:
            digest = hashlib.sha256(content).hexdigest()
            # the same server by another name, as the hub keeps large files at another host
            self._answer(302, b"", {"Location": f"{self.hub.url.replace('127.0.0.1', 'localhost')}/elsewhere/{digest}"})

    def _elsewhere(self, digest: str) -> None:
        self.hub.tokens_elsewhere.append(self.headers.get("Authorization", ""))
        stored = [
            files for repository in self.hub.repositories.values() for files in (repository.files, *repository.earlier.values())
        ]
        contents = [content for files in stored for content in files.values()]
        self._answer(200, next(content for content in contents if hashlib.sha256(content).hexdigest() == digest))

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
