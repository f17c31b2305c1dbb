"""The API server in memory answers and refuses as a real one."""

import json
from typing import Any

import pytest

from tests.fake_cluster.api_server import ApiServer, event
from tests.fake_cluster.rights import Rights
from tests.fake_cluster.sample_tasks import container, spec

PODS = "/api/v1/namespaces/longrun/pods"


def named(kind: str, name: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


def pod(name: str = "p", **more: Any) -> dict[str, Any]:
    return named("Pod", name, spec=spec(container("c"), **more))


@pytest.fixture
def server() -> ApiServer:
    """A server with the namespace, which enforces restricted Pod Security."""
    made = ApiServer()
    made.add(named("Namespace", "longrun"))
    made.objects["namespaces", "", "longrun"]["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}
    return made


def post(server: ApiServer, path: str, obj: dict[str, Any]) -> tuple[int, Any]:
    return server.handle("POST", path, json.dumps(obj).encode())


def test_a_pod_is_kept_listed_by_its_labels_and_deleted(server: ApiServer) -> None:
    made = pod()
    made["metadata"]["labels"] = {"a": "b"}
    code, answer = post(server, PODS, made)
    assert (code, answer["status"]["phase"], answer["metadata"]["namespace"]) == (201, "Pending", "longrun")
    for selector, count in (("a=b", 1), ("a!=b", 0), ("a", 1), ("c", 0)):
        assert len(server.handle("GET", f"{PODS}?labelSelector={selector}")[1]["items"]) == count
    assert len(server.handle("GET", "/api/v1/pods?fieldSelector=status.phase%21%3DSucceeded")[1]["items"]) == 1
    assert server.handle("DELETE", f"{PODS}/p")[0] == 200
    assert server.handle("GET", f"{PODS}/p")[1]["message"] == 'pods "p" not found'


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/namespaces/longrun/podz", 404),
        ("GET", "/apis/ray.io/v2/namespaces/longrun/rayjobs", 404),
        ("GET", "/api/v1/namespaces/longrun/rayjobs", 404),
        ("GET", f"{PODS}?fieldSelector=spec.containers%3Dc", 400),
        ("POST", f"{PODS}/p", 405),
        ("POST", "/api/v1/pods", 405),
    ],
)
def test_what_the_api_does_not_have_is_refused(method: str, path: str, code: int, server: ApiServer) -> None:
    answer = server.handle(method, path, json.dumps(pod()).encode())
    assert (answer[0], answer[1]["kind"], answer[1]["code"]) == (code, "Status", code)


REFUSED: dict[str, tuple[int, Any]] = {
    'serviceaccount "none" not found': (403, lambda: pod(serviceAccountName="none")),
    "no PriorityClass with name none was found": (403, lambda: pod(priorityClassName="none")),
    'violates PodSecurity "restricted:latest": hostNetwork': (403, lambda: pod(hostNetwork=True)),
    "Duplicate value": (422, lambda: pod(volumes=[{"name": "v", "emptyDir": {}}] * 2)),
    "does not match the namespace": (400, lambda: pod() | {"metadata": {"name": "p", "namespace": "other"}}),
    "is unrecognized": (400, lambda: pod() | {"kind": "Service"}),
    "exceeded quota: q, requested: requests.cpu=1": (403, lambda: pod()),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_not_admitted_is_refused_with_the_reason(why: str, server: ApiServer) -> None:
    if "quota" in why:
        server.add(named("ResourceQuota", "q", spec={"hard": {"requests.cpu": "500m", "pods": "9"}}))
    code, made = REFUSED[why]
    status, answer = post(server, PODS, made())
    assert (status, why in answer["message"]) == (code, True), answer


def test_a_name_is_taken_once_and_a_namespace_must_be_there(server: ApiServer) -> None:
    assert [post(server, PODS, pod())[0] for _ in range(2)] == [201, 409]
    assert post(server, "/api/v1/namespaces/other/pods", pod())[1]["message"] == 'namespaces "other" not found'


def test_what_an_object_owns_is_deleted_with_it_and_a_finalizer_holds_it(server: ApiServer) -> None:
    job = named("RayJob", "j", "ray.io/v1")
    job["metadata"]["finalizers"] = ["ray.io/rayjob-finalizer"]
    owned = pod()
    owned["metadata"]["ownerReferences"] = [{"apiVersion": "ray.io/v1", "kind": "RayJob", "name": "j", "uid": "uid-of-j"}]
    server.add(job, owned)
    path = "/apis/ray.io/v1/namespaces/longrun/rayjobs/j"
    server.handle("DELETE", path)
    assert "deletionTimestamp" in server.handle("GET", path)[1]["metadata"]
    assert len(server.of("pods")) == 1
    server.handle("PATCH", path, json.dumps({"metadata": {"finalizers": None}}).encode())
    assert (server.of("rayjobs"), server.of("pods")) == ([], [])


def test_a_role_allows_what_it_names_and_nothing_else(server: ApiServer) -> None:
    server.rights["token"] = Rights(({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},))
    assert server.handle("GET", PODS, b"", "Bearer token")[0] == 200
    for method, path in (("DELETE", f"{PODS}/p"), ("GET", f"{PODS}/p/log"), ("GET", "/api/v1/namespaces/longrun/secrets")):
        status, answer = server.handle(method, path, b"", "Bearer token")
        assert (status, "cannot" in answer["message"]) == (403, True)


def test_logs_are_those_of_a_container_that_has_started(server: ApiServer) -> None:
    server.add(pod())
    assert "waiting to start" in server.handle("GET", f"{PODS}/p/log")[1]["message"]
    server.logs["p", "c"] = "line\n"
    assert server.handle("GET", f"{PODS}/p/log?container=c") == (200, "line\n")


def test_events_are_looked_up_by_what_they_are_about(server: ApiServer) -> None:
    made = server.create(pod())
    server.add(event(made, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu."))
    events = "/api/v1/namespaces/longrun/events?fieldSelector=involvedObject.name%3D"
    assert [len(server.handle("GET", events + name)[1]["items"]) for name in ("p", "q")] == [1, 0]


def test_a_kind_is_served_as_long_as_its_definition_is_there(server: ApiServer) -> None:
    definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    path = "/apis/ray.io/v1/namespaces/longrun/rayjobs"
    server.add(named("CustomResourceDefinition", "rayjobs.ray.io", "apiextensions.k8s.io/v1"))
    assert server.handle("GET", path)[0] == 200
    server.handle("DELETE", f"{definition}/rayjobs.ray.io")
    assert server.handle("GET", path)[0] == 404
