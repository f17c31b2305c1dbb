"""What a cluster says of the steps of a run, over the real API: pods, Ray jobs, Ray clusters and the events of all of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.errors import ClusterError
from infra.cluster.client import ClusterClient, Refused
from infra.cluster.step_state import Observation, observations
from tests.charts.helm import documents
from tests.fake_cluster.api_server import event
from tests.fake_cluster.kubernetes_api import FakeCluster
from tests.fake_cluster.rights import Rights, of_roles
from tests.infra.conftest import sample_profile

RUN, ACTION = "r20260102-030405-abcd", "47g46j4hcx8zqx6ke0w1x7v3b"
LONG_AGO = "2026-01-02T03:04:05Z"
Json = dict[str, Any]


def made(kind: str, name: str, attempt: int = 1, **rest: Any) -> Json:
    """An object of the run's step, as Flyte and KubeRay label it."""
    version = {"Pod": "v1"}.get(kind, "ray.io/v1")
    labels = {"run": RUN, "action": ACTION, "attempt": str(attempt)}
    meta = {"name": name, "namespace": "longrun", "labels": labels, "creationTimestamp": LONG_AGO}
    return {"apiVersion": version, "kind": kind, "metadata": meta, **rest}


def pod(name: str, phase: str = "Pending", container: Json | None = None, **status: Any) -> Json:
    containers = [{"name": "ray-head", "state": container}] if container else []
    return made("Pod", name, status={"phase": phase, "containerStatuses": containers, **status})


def condition(kind: str, status: str, reason: str, message: str = "") -> Json:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-02T03:05:05Z"}


RUNNING = made("RayJob", "job", status={"jobDeploymentStatus": "Initializing"})
CLUSTER = made("RayCluster", "job-x7v3b")
HEAD, WORKER = pod("job-x7v3b-head-q2x4z"), pod("job-x7v3b-workers-worker-bt9mz")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster with no objects, and its kubeconfig."""
    with FakeCluster(answers={}).serving() as cluster:
        cluster.write_kubeconfig(tmp_path / "kubeconfig", "token-of-a-user")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield cluster


def seen(fake: FakeCluster, *objects: Json) -> Observation | None:
    """What is observed of the step that has these objects."""
    fake.server.add(*objects)
    return observations(ClusterClient(sample_profile(context="site")), RUN).get(ACTION)


def line(fake: FakeCluster, *objects: Json) -> str:
    """The same in a line; empty for none."""
    observed = seen(fake, *objects)
    return observed.line if observed else ""


def test_a_step_whose_pods_run_is_in_nobodys_way(fake: FakeCluster) -> None:
    ready = [condition("Ready", "True", "")]
    assert line(fake, RUNNING, CLUSTER, pod("head", "Running", {"running": {}}, conditions=ready)) == ""


def test_the_events_of_a_workers_pod_say_why_the_step_initializes_for_ever(fake: FakeCluster) -> None:
    fits = event(WORKER, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.")
    head = pod("job-x7v3b-head-q2x4z", "Running", {"running": {}}, conditions=[condition("Ready", "True", "")])
    observed = seen(fake, RUNNING, CLUSTER, head, WORKER, fits)
    assert observed is not None
    assert observed.line == f"pod {WORKER['metadata']['name']}: FailedScheduling: 0/1 nodes are available: 1 Insufficient cpu."


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        (
            [pod("a", conditions=[condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available")])],
            "pod a: Unschedulable: 0/1 nodes are available",
        ),
        (
            [pod("a", container={"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}})],
            "pod a: ImagePullBackOff: Back-off pulling image",
        ),
        ([HEAD, event(HEAD, "FailedMount", "secret missing")], "pod job-x7v3b-head-q2x4z: FailedMount: secret missing"),
        (
            [HEAD, event(HEAD, "Pulling", 'Pulling image "train"', kind="Normal")],
            'pod job-x7v3b-head-q2x4z: Pulling: Pulling image "train"',
        ),
        (
            [pod("a", "Running", {"running": {}}, conditions=[condition("Ready", "False", "ContainersNotReady")])],
            "",
        ),
        (
            [pod("a", "Failed", reason="Evicted", message="The node was low on memory")],
            "pod a: Evicted: The node was low on memory",
        ),
        (
            [pod("a", "Running", {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": LONG_AGO}})],
            "pod a: out of memory (OOMKilled)",
        ),
        (
            [
                pod("a", "Running", {"running": {}}, conditions=[condition("DisruptionTarget", "True", "PreemptionByScheduler")]),
            ],
            "pod a: PreemptionByScheduler",
        ),
        (
            [RUNNING, CLUSTER, event(CLUSTER, "FailedToCreateHeadPod", "exceeded quota: longrun")],
            "RayCluster job-x7v3b: FailedToCreateHeadPod: exceeded quota: longrun",
        ),
        ([made("RayJob", "job")], "RayJob job: KubeRay has not taken this job yet"),
        (
            [made("RayJob", "job", status={"jobDeploymentStatus": "Failed", "reason": "AppFailed", "message": "no head"})],
            "RayJob job: AppFailed: no head",
        ),
    ],
)
def test_each_thing_that_keeps_a_step_from_running_is_told_with_its_object(
    objects: list[Json], expected: str, fake: FakeCluster
) -> None:
    assert line(fake, *objects) == expected


def test_a_pod_that_does_not_get_ready_is_told_with_what_its_probe_says(fake: FakeCluster) -> None:
    head = pod("a", "Running", {"running": {}}, conditions=[condition("Ready", "False", "ContainersNotReady")])
    assert line(fake, head, event(head, "Unhealthy", "Readiness probe failed: wget: not found")) == (
        "pod a: Unhealthy: Readiness probe failed: wget: not found"
    )


def test_it_is_told_since_when(fake: FakeCluster) -> None:
    unscheduled = pod("a", conditions=[condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available")])
    observed = seen(fake, unscheduled)
    assert observed is not None
    assert observed.since == 1767323105.0


def test_of_many_pods_with_one_reason_the_first_and_their_number_are_told(fake: FakeCluster) -> None:
    full = condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available")
    assert line(fake, *(pod(f"w{number}", conditions=[full]) for number in range(8))).startswith(
        "pod w0 and 7 more: Unschedulable"
    )


def test_what_has_a_remedy_is_told_before_what_has_none_and_before_what_is_usual(fake: FakeCluster) -> None:
    full = condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available")
    pulls = event(HEAD, "Pulling", "Pulling image", kind="Normal")
    odd = pod("b", container={"waiting": {"reason": "RunContainerError", "message": "no such file"}})
    assert line(fake, HEAD, pulls, odd, pod("c", conditions=[full])).startswith("pod c: Unschedulable")


def test_what_an_operator_could_not_do_at_first_and_has_done_since_is_forgotten(fake: FakeCluster) -> None:
    refused, done = (
        event(CLUSTER, "FailedToCreateHeadPod", "exceeded quota"),
        event(CLUSTER, "CreatedHeadPod", "Created head Pod", kind="Normal"),
    )
    refused["metadata"]["name"], done["metadata"]["name"] = "first", "second"
    refused["firstTimestamp"] = refused["lastTimestamp"] = LONG_AGO
    done["firstTimestamp"] = done["lastTimestamp"] = "2026-01-02T03:04:09Z"
    assert line(fake, RUNNING, CLUSTER, refused, done) == ""


def test_what_flyte_itself_could_not_do_is_told_as_long_as_the_step_has_nothing_else(fake: FakeCluster) -> None:
    step = {"kind": "TaskAction", "metadata": {"name": f"{RUN}-{ACTION}", "namespace": "longrun"}}
    refused = event(step, "FailedPluginHandle", 'Plugin "ray" system error: failed to create resource')
    assert (
        line(fake, refused)
        == f'Flyte\'s step {RUN}-{ACTION}: FailedPluginHandle: Plugin "ray" system error: failed to create resource'
    )
    ready = [condition("Ready", "True", "")]
    assert line(fake, RUNNING, pod("head", "Running", {"running": {}}, conditions=ready)) == ""


def test_of_several_attempts_the_newest_counts_and_what_is_being_deleted_does_not(fake: FakeCluster) -> None:
    old = made("Pod", "old", status={"phase": "Failed", "reason": "Evicted"})
    going = pod("going", "Failed", reason="Evicted")
    going["metadata"] |= {"deletionTimestamp": LONG_AGO, "labels": going["metadata"]["labels"] | {"attempt": "2"}}
    assert line(fake, old, going, made("Pod", "new", attempt=2, status={"phase": "Running"})) == ""


def test_objects_of_other_runs_are_not_looked_at(fake: FakeCluster) -> None:
    other = pod("a", "Failed", reason="Evicted")
    other["metadata"]["labels"]["run"] = "another"
    assert line(fake, other) == ""


def test_the_rights_of_the_charts_observer_are_enough_and_fewer_are_refused_in_our_words(fake: FakeCluster) -> None:
    fake.server.rights["token-of-a-user"] = of_roles(documents("trial"), "-observer")
    assert line(fake, pod("a", "Failed", reason="Evicted")) == "pod a: Evicted"
    fake.server.rights["token-of-a-user"] = Rights(())
    with pytest.raises(Refused, match="403"):
        line(fake)


def test_without_a_kubeconfig_it_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterError, match="no usable kubeconfig"):
        observations(ClusterClient(sample_profile()), RUN)
