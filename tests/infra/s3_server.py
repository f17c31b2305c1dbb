"""A bucket on a real S3 server process, what it keeps, and a proxy that kills the client at a chosen request."""

import http.client
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.artifacts import MANIFEST, Artifact, Manifest
from tests.servers import client, object_store

BUCKET = "artifacts"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}


@contextmanager
def bucket(log: Path) -> Iterator[str]:
    """The URL of an S3 server with an empty bucket, whose credentials stand in the environment."""
    with object_store(log) as url, pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        client(url).create_bucket(Bucket=BUCKET)
        yield url


@dataclass(frozen=True)
class Objects:
    """The objects below a prefix."""

    endpoint: str
    prefix: str

    def read(self, artifact: Artifact, name: str) -> bytes:
        return bytes(client(self.endpoint).get_object(Bucket=BUCKET, Key=self._key(artifact, name))["Body"].read())

    def write(self, artifact: Artifact, name: str, data: bytes) -> None:
        client(self.endpoint).put_object(Bucket=BUCKET, Key=self._key(artifact, name), Body=data)

    def remove(self, artifact: Artifact, name: str) -> None:
        client(self.endpoint).delete_object(Bucket=BUCKET, Key=self._key(artifact, name))

    def names(self) -> list[str]:
        """Every key below the prefix."""
        pages = client(self.endpoint).get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{self.prefix}/")
        return [entry["Key"].removeprefix(f"{self.prefix}/") for page in pages for entry in page.get("Contents", [])]

    def outside_artifacts(self) -> list[str]:
        return [name for name in self.names() if not name.startswith("artifacts/")]

    def _key(self, artifact: Artifact, name: str) -> str:
        folder = f"{artifact.digest[:16]}/" if name == "page.html" else ""
        return f"{self.prefix}/{artifact.uri}/{folder}{name}"

    def manifest(self, artifact: Artifact) -> Manifest:
        """The manifest as it is kept."""
        return Manifest.from_bytes(self.read(artifact, MANIFEST), artifact.uri)


@dataclass
class KillingProxy:
    """Hands requests on to the server, and kills `victim` at the nth, before or after the server has done it."""

    target: str
    fatal: int
    before: bool
    victim: int = 0
    seen: int = 0
    killed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The proxy's URL."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fatal = proxy.is_fatal(self.path)
                self.close_connection = fatal
                if fatal and proxy.before:
                    return proxy.kill()
                status, headers, answer = proxy.hand_on(self.command, self.path, dict(self.headers), body)
                if fatal:
                    return proxy.kill()
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in {"transfer-encoding", "connection", "content-length", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                return None

            do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 names of the standard library

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        return Handler

    def is_fatal(self, path: str) -> bool:
        with self.lock:
            self.seen += 1
            return self.seen == self.fatal

    def kill(self) -> None:
        self.killed = True
        os.kill(self.victim, signal.SIGKILL)

    def hand_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.target.removeprefix("http://"), timeout=30)
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), data


@dataclass
class LosingProxy(KillingProxy):
    """Loses the answer to the first request whose path ends with `path`; nobody is killed."""

    fatal: int = 1
    before: bool = False
    path: str = ""

    def is_fatal(self, path: str) -> bool:
        return path.partition("?")[0].endswith(self.path) and super().is_fatal(path)

    def kill(self) -> None:
        self.killed = True


@dataclass
class CountingProxy(KillingProxy):
    """Counts the bytes that are fetched, by key; nobody is killed."""

    fatal: int = 0
    before: bool = False
    fetched: dict[str, list[int]] = field(default_factory=dict)
    """The bytes of each answer with the content of an object."""

    def hand_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        status, fields, data = super().hand_on(method, path, headers, body)
        key = path.partition("?")[0].removeprefix(f"/{BUCKET}").strip("/")
        if method == "GET" and key and status in {200, 206}:
            with self.lock:
                self.fetched.setdefault(key, []).append(len(data))
        return status, fields, data

    def files(self) -> dict[str, list[int]]:
        """Those of the files of artifacts. Their manifests, and what points to them, are asked for whenever it matters."""
        return {
            key: sizes
            for key, sizes in self.fetched.items()
            if "artifacts" in Path(key).parts and Path(key).name not in {MANIFEST, "current.json"}
        }
