"""The pod that asks from inside, against an API that admits as a real one does: it is deleted whatever happens to it."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.errors import ClusterError
from infra.cluster import probe
from infra.cluster.client import ClusterClient
from infra.cluster.machines import Machine, machines
from infra.cluster.pods import pod_template
from infra.cluster.probe import StillPulling, ask_inside, manifest, may_ask
from tests.fake_cluster.api_server import Json
from tests.fake_cluster.kubernetes_api import FakeCluster
from tests.fake_cluster.namespace import answering, deployed, unscheduled, waiting, with_event
from tests.infra.conftest import sample_profile

GOOD = [{"what": "mlflow", "observed": "http://mlflow: listed experiments", "problem": ""}]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A namespace that is deployed, where nobody is waited for longer than needed."""
    with deployed(tmp_path, monkeypatch) as fake:
        yield fake


@pytest.fixture
def client() -> ClusterClient:
    return ClusterClient(sample_profile(source_claim="sources"))


def pods(cluster: FakeCluster) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.server.of("pods")]


def test_answers_are_those_that_the_pod_printed_last_and_it_is_deleted(cluster: FakeCluster, client: ClusterClient) -> None:
    cluster.server.kubelet = answering(cluster.server, GOOD)
    assert ask_inside(client).answers == GOOD
    assert pods(cluster) == []
    assert [line.split()[0] for line in cluster.asked if "/pods/" in line][-1] == "DELETE"


def test_it_differs_from_a_task_s_pod_in_size_command_and_end_alone() -> None:
    profile = sample_profile(source_claim="sources")
    driver = machines(profile)["driver"]
    assert isinstance(driver, Machine)
    from kubernetes import client as k8s

    task = k8s.ApiClient().sanitize_for_serialization(pod_template(profile, replace(driver, checkpoints=True)).pod_spec)
    asking = manifest(profile, "x")["spec"]
    for end in ("restartPolicy", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "priorityClassName"):
        asking.pop(end)
    for end in ("terminationGracePeriodSeconds", "priorityClassName"):
        task.pop(end)
    for spec in (task, asking):
        spec["containers"][0].pop("resources")
    assert asking["containers"][0].pop("command") == ["python", "-m", "infra.from_inside"]
    assert asking == task
    assert {volume["persistentVolumeClaim"]["claimName"] for volume in asking["volumes"]} == {"checkpoints", "sources"}


PROBLEMS: dict[str, tuple[Any, str]] = {
    "no image": (lambda _: waiting("ErrImagePull", "manifest unknown"), "ErrImagePull: manifest unknown"),
    "no secret": (lambda _: waiting("CreateContainerConfigError", 'secret "x" not found'), 'secret "x" not found'),
    "no node": (lambda _: unscheduled("0/1 nodes are available: 1 Insufficient cpu."), "Unschedulable: 0/1 nodes are available"),
    "no claim": (lambda _: unscheduled('persistentvolumeclaim "c" not found'), 'persistentvolumeclaim "c" not found'),
    "no volume": (lambda server: with_event(server, "FailedMount", "timed out"), "FailedMount: timed out"),
    "a crash": (lambda server: answering(server, "Traceback\nModuleNotFoundError: No module named 'x'"), "No module named 'x'"),
    "silence": (lambda server: answering(server, ""), "exited without answers: its log is empty"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_why_it_does_not_start_or_answer_is_told_and_it_is_deleted(
    case: str, cluster: FakeCluster, client: ClusterClient
) -> None:
    kubelet, message = PROBLEMS[case]
    cluster.server.kubelet = kubelet(cluster.server)
    with pytest.raises(ClusterError) as caught:
        ask_inside(client)
    assert message in str(caught.value)
    assert pods(cluster) == []


def test_an_image_that_is_being_pulled_is_given_up_for_now(
    cluster: FakeCluster, client: ClusterClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "START_SECONDS", 0.0)
    cluster.server.kubelet = with_event(cluster.server, "Pulling", 'Pulling image "x"')
    with pytest.raises(StillPulling, match="Pulling image"):
        ask_inside(client)
    assert pods(cluster) == []


def test_a_pod_of_which_nothing_is_heard_is_given_up(
    cluster: FakeCluster, client: ClusterClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "START_SECONDS", 0.0)
    with pytest.raises(ClusterError, match=r"no answer within 0 s: the pod is Pending"):
        ask_inside(client)
    assert pods(cluster) == []


REFUSED: dict[str, tuple[str, Json, str]] = {
    "no account": ("serviceaccounts", {}, 'serviceaccount "longrun-tasks" not found'),
    "no priority class": ("priorityclasses", {}, "no PriorityClass with name longrun-evaluation was found"),
    "no namespace": ("namespaces", {}, 'namespaces "longrun" not found'),
    "full quota": (
        "",
        {"kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"limits.memory": "512Mi"}}},
        "exceeded quota: q",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_admission_refuses_is_told_in_its_words(case: str, cluster: FakeCluster, client: ClusterClient) -> None:
    removed, added, message = REFUSED[case]
    for key in [key for key in cluster.server.objects if key[0] == removed]:
        del cluster.server.objects[key]
    if added:
        cluster.server.add(added)
    with pytest.raises(ClusterError) as caught:
        ask_inside(client)
    assert message in str(caught.value)


@pytest.mark.parametrize(("sent", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_it_is_deleted_when_the_command_is_interrupted(
    sent: signal.Signals, raised: type[BaseException], cluster: FakeCluster, client: ClusterClient
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    cluster.server.kubelet = lambda _: os.kill(os.getpid(), sent)
    # what a shell starts in the background ignores the interrupt
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(raised):
            ask_inside(client)
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert pods(cluster) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_killed_examination_has_left_is_swept_and_a_running_one_left_alone(
    cluster: FakeCluster, client: ClusterClient
) -> None:
    label = {"app.kubernetes.io/component": "doctor"}
    for name, phase in (("old", "Failed"), ("other", "Running")):
        cluster.server.add({"kind": "Pod", "metadata": {"name": name, "labels": label}, "status": {"phase": phase}, "spec": {}})
    cluster.server.kubelet = answering(cluster.server, GOOD)
    ask_inside(client)
    assert pods(cluster) == ["other"]


def test_what_a_user_lacks_for_it_is_named(cluster: FakeCluster, client: ClusterClient) -> None:
    assert may_ask(client) == []
    cluster.refused_rights |= {"create pods", "get pods/log"}
    assert may_ask(client) == ["create pods", "get pods/log"]
