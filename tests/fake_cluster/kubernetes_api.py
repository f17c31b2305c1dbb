"""A fake cluster with its HTTP interfaces: Kubernetes' API, health of Flyte and MLflow, and an image registry.

Answers can be replaced. Paths of the API without an answer of their own are those of an `ApiServer`, where what is created stays.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.cluster import client as cluster_client
from tests.fake_cluster.api_server import ApiServer
from tests.fake_cluster.helm import UNINSTALL, uninstall

NAMESPACE = "/api/v1/namespaces/longrun"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def listing(*items: Any) -> dict[str, Any]:
    return {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": list(items)}


def node(name: str, product: str, gpus: int, *, ready: bool = True, cordoned: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"nvidia.com/gpu.product": product}},
        "spec": {"unschedulable": cordoned},
        "status": {
            "allocatable": {"cpu": "96", "memory": "2Ti", "nvidia.com/gpu": str(gpus)},
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


def pod(where: str, gpus: int) -> dict[str, Any]:
    container = {"name": "main", "resources": {"requests": {"nvidia.com/gpu": str(gpus)}}}
    return {"metadata": {"name": "p"}, "spec": {"nodeName": where, "containers": [container]}, "status": {"phase": "Running"}}


def resource(name: str) -> dict[str, Any]:
    return {"name": name, "singularName": "", "namespaced": True, "kind": name, "verbs": ["list"]}


def api_version(minor: str) -> dict[str, str]:
    rest = ("gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform")
    return {"major": "1", "minor": minor, **dict.fromkeys(rest, "x")}


def healthy() -> dict[str, Any]:
    """Path -> response: JSON, text, or a status."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    hard = {"requests.nvidia.com/gpu": "32", "pods": "100"}
    return {
        "/version/": api_version("37+"),
        "/apis/ray.io/v1": {
            "kind": "APIResourceList",
            "groupVersion": "ray.io/v1",
            "resources": [resource("rayclusters"), resource("rayjobs")],
        },
        f"{NAMESPACE}/serviceaccounts/longrun-tasks": {"metadata": {"name": "longrun-tasks"}},
        "/apis/storage.k8s.io/v1/storageclasses": listing(
            {"metadata": {"name": "fast", "annotations": default}, "provisioner": "csi.example.org"}
        ),
        f"{NAMESPACE}/persistentvolumeclaims/checkpoints": {
            "metadata": {"name": "checkpoints"},
            "spec": {"accessModes": ["ReadWriteMany"]},
            "status": {"phase": "Bound"},
        },
        "/api/v1/nodes": listing(
            node("one", "NVIDIA-H100-80GB-HBM3", 8),
            node("two", "NVIDIA-A100-SXM4-80GB", 8),
            node("other", "NVIDIA-H200", 8),
            node("lost", "NVIDIA-H100-80GB-HBM3", 8, ready=False),
            node("cordoned", "NVIDIA-H100-80GB-HBM3", 8, cordoned=True),
        ),
        "/api/v1/pods": listing(pod("one", 3), pod("other", 8)),
        f"{NAMESPACE}/pods": listing(pod("one", 1)),
        f"{NAMESPACE}/resourcequotas": listing(
            {
                "metadata": {"name": "q"},
                "spec": {"hard": hard},
                "status": {"hard": hard, "used": {"requests.nvidia.com/gpu": "3"}},
            }
        ),
        "/healthz": "ok",
        "/health": "OK",
        "/token": {"token": "for-everybody"},
    }


@dataclass
class FakeCluster:
    """Serves all interfaces over real HTTP on one port."""

    answers: dict[str, Any] = field(default_factory=healthy)
    refused_rights: set[str] = field(default_factory=set)
    """Resources, or resource/subresource, optionally after a verb, for which access reviews say no."""
    private_registry: bool = False
    """Whether the registry gives tokens to anonymous users."""
    silent: set[str] = field(default_factory=set)
    """Paths that are never answered while the server runs."""
    server: ApiServer = field(default_factory=ApiServer)
    """Handles requests that are not in `answers`."""
    url: str = ""
    asked: list[str] = field(default_factory=list)
    posted: dict[str, list[Any]] = field(default_factory=dict)
    """Path -> the bodies that were posted there."""
    _closing: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def serving(self) -> Iterator["FakeCluster"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield self
        finally:
            self._closing.set()
            server.shutdown()
            server.server_close()

    def write_kubeconfig(self, path: Path, token: str) -> None:
        """Write a kubeconfig whose only context is this cluster, with the user's token."""
        config = {
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "site", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "site",
        }
        path.write_text(json.dumps(config))

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                fake.asked.append(f"{self.command} {self.path}")
                if path in fake.silent:
                    fake._closing.wait()
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = fake.answer(path, body, self.headers.get("Authorization", ""))
                if path.startswith(UNINSTALL):
                    reason = uninstall(fake.server, path.removeprefix(UNINSTALL))
                    status, answer = (409, reason) if reason else (200, "")
                elif isinstance(answer, int) and answer == 404 and path.startswith(("/api/", "/apis/")):
                    status, answer = fake.server.handle(self.command, self.path, body, self.headers.get("Authorization", ""))
                else:
                    status, answer = (answer, {}) if isinstance(answer, int) else (200, answer)
                data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
                if status == 401 and path.startswith("/v2/"):
                    self.send_header("WWW-Authenticate", f'Bearer realm="{fake.url}/token",service="registry",scope="pull"')
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_POST = do_HEAD = do_DELETE = do_PATCH = do_PUT = do_GET  # noqa: N815 names of the standard library

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        return Handler

    def answer(self, path: str, body: bytes, authorization: str) -> Any:
        if body and path.startswith("/api"):
            self.posted.setdefault(path, []).append(json.loads(body))
        if path == REVIEWS:
            return self._review(json.loads(body))
        if path.startswith("/v2/") and path not in self.answers:
            return 200 if authorization == "Bearer for-everybody" and not self.private_registry else 401
        return self.answers.get(path, 404)

    def _review(self, review: dict[str, Any]) -> Any:
        wanted = review["spec"]["resourceAttributes"]
        name = "/".join(filter(None, (wanted["resource"], wanted.get("subresource"))))
        refused = {name, f"{wanted['verb']} {name}"} & self.refused_rights
        return review | {"status": {"allowed": not refused}}


@contextmanager
def reachable(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A fake cluster with a kubeconfig in a directory, and with timeouts for a busy machine."""
    monkeypatch.setattr(cluster_client, "SECONDS", 300.0)
    with FakeCluster().serving() as fake:
        fake.write_kubeconfig(directory / "kubeconfig", "token")
        monkeypatch.setenv("KUBECONFIG", str(directory / "kubeconfig"))
        yield fake
