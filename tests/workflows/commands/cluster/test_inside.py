"""Findings from inside a cluster: with what a pod answers, why it did not start, and what they make of this machine's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.cluster.client import ClusterClient
from tests.fake_cluster.kubernetes_api import FakeCluster
from tests.fake_cluster.namespace import answering, deployed, unscheduled, waiting, with_event
from tests.infra.conftest import sample_profile
from workflows.commands.cluster.inside import examine_inside, noted
from workflows.commands.doctor import Finding, finding

GOOD = {"what": "object store", "observed": "s3://artifacts: wrote, read and deleted an object", "problem": ""}
BAD = {"what": "mlflow", "observed": "", "problem": "MLflow at http://m: 401"}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    with deployed(tmp_path, monkeypatch) as fake:
        yield fake


def examined() -> list[Finding]:
    return examine_inside(ClusterClient(sample_profile()))


def test_each_answer_is_a_finding_with_its_remedy(cluster: FakeCluster) -> None:
    cluster.server.kubelet = answering(cluster.server, [GOOD, BAD])
    started, store, mlflow = examined()
    assert (started["what"], started["state"], store["state"], mlflow["state"]) == ("inside: pod", "ok", "ok", "failed")
    assert (mlflow["found"], "mlflow_uri" in mlflow["remedy"]) == (BAD["problem"], True)


CASES: dict[str, tuple[Any, str]] = {
    "image": (lambda _: waiting("ImagePullBackOff", "x"), "push the images"),
    "secret": (lambda _: waiting("CreateContainerConfigError", 'secret "x" not found'), "create the Secret"),
    "claim": (lambda _: unscheduled('persistentvolumeclaim "c" not found'), "check the profile's"),
    "nodes": (lambda _: unscheduled("0/1 nodes are available: 1 Insufficient memory."), "wait until a node is free"),
    "volume": (lambda server: with_event(server, "FailedMount", "x"), "check the profile's"),
}


@pytest.mark.parametrize("case", CASES)
def test_why_a_pod_does_not_start_is_the_finding_with_its_remedy(case: str, cluster: FakeCluster) -> None:
    kubelet, remedy = CASES[case]
    cluster.server.kubelet = kubelet(cluster.server)
    (entry,) = examined()
    assert (entry["what"], entry["state"], remedy in entry["remedy"]) == ("inside: pod", "failed", True), entry
    assert cluster.server.of("pods") == []


def test_a_chart_that_is_not_there_is_named_by_what_admission_lacks(cluster: FakeCluster) -> None:
    cluster.server.objects.pop(("priorityclasses", "", "longrun-evaluation"))
    (entry,) = examined()
    assert "longrun deploy" in entry["remedy"]


def test_who_may_not_make_pods_is_warned_and_asks_for_none(cluster: FakeCluster) -> None:
    cluster.refused_rights.add("create pods")
    (entry,) = examined()
    assert (entry["state"], entry["found"]) == ("warning", "not checked: no right to create pods")
    assert not [line for line in cluster.asked if line.startswith("POST") and line.endswith("/pods")]


def test_what_is_well_from_inside_is_a_note_where_this_machine_cannot_ask() -> None:
    outside = [
        finding("object store", False, "AccessDenied", "look at the credentials"),
        finding("mlflow", False, "does not answer", "look at mlflow_uri"),
        finding("image: evaluate", False, "does not answer", "look", bad="warning"),
        finding("image: vllm", False, "does not answer", "look", bad="warning"),
    ]
    inside = [
        finding("inside: pod", True, "", ""),
        finding("inside: object store", True, "", ""),
        finding("inside: mlflow", False, "", ""),
    ]
    states = {entry["what"]: entry["state"] for entry in noted(outside, inside)}
    assert states == {"object store": "note", "mlflow": "failed", "image: evaluate": "note", "image: vllm": "warning"}
    note = noted(outside, inside)[0]
    assert (note["found"], note["remedy"]) == ("works from inside the cluster; from this machine: AccessDenied", "")
