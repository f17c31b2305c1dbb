"""An upgrade keeps the secrets that the installation made up: helm asks an API server over HTTP, which answers as a cluster."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from tests.charts import helm

Tree = dict[str, helm.Document]


def _discovery() -> Tree:
    """What an API server tells of itself: the kinds that the chart renders."""
    kinds = {(document["apiVersion"], document["kind"]) for document in helm.documents("trial")}
    versions = {version for version, _ in kinds}
    groups = [
        {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}]}
        for group, _, version in (known.partition("/") for known in versions)
        if version
    ]
    answers: Tree = {
        "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
    }
    for version in versions:
        resources = [_resource(kind) for known, kind in sorted(kinds) if known == version]
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        answers[path] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
    return answers


def _resource(kind: str) -> helm.Document:
    namespaced = not kind.startswith(("Cluster", "PriorityClass"))
    return {"name": f"{kind.lower()}s", "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": ["get"]}


@pytest.fixture
def cluster() -> Iterator[tuple[str, Tree]]:
    """URL of an API server and the Secrets that it has, by name."""
    secrets: Tree = {}
    discovery = _discovery()

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parent, _, name = self.path.partition("?")[0].rpartition("/")
            known = secrets.get(name) if parent == "/api/v1/namespaces/longrun/secrets" else None
            answer = known or discovery.get(self.path.partition("?")[0])
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(answer or missing).encode()
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", secrets
        server.shutdown()


def _rendered(url: str) -> Tree:
    done = helm.render("trial", "--dry-run=server", "--kube-apiserver", url, "--is-upgrade", "--disable-openapi-validation")
    assert done.returncode == 0, done.stderr
    return {d["metadata"]["name"]: d for d in yaml.safe_load_all(done.stdout) if d and d["kind"] == "Secret"}


@pytest.mark.long
def test_secrets_that_are_there_stay_what_they_are(cluster: tuple[str, Tree]) -> None:
    url, secrets = cluster
    secrets.update(_rendered(url))
    assert len(secrets) == 3
    assert {name: secret["data"] for name, secret in _rendered(url).items()} == {n: s["data"] for n, s in secrets.items()}


@pytest.mark.long
def test_a_key_that_is_missing_is_made_up_beside_those_that_are_there(cluster: tuple[str, Tree]) -> None:
    url, secrets = cluster
    secrets.update(_rendered(url))
    kept = secrets["longrun-mlflow"]["data"].pop("password")
    again = _rendered(url)["longrun-mlflow"]["data"]
    assert again["secret-key"] == secrets["longrun-mlflow"]["data"]["secret-key"]
    assert again["password"] != kept
    assert len(base64.b64decode(again["password"])) == 32
