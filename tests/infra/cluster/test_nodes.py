"""What nodes have free, as a scheduler counts it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.cluster.client import ClusterClient
from infra.cluster.nodes import Node, nodes
from tests.fake_cluster.kubernetes_api import FakeCluster, listing, node, reachable
from tests.infra.conftest import sample_profile


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    with reachable(tmp_path, monkeypatch) as fake:
        yield fake


def of(cluster: FakeCluster) -> list[Node]:
    return nodes(ClusterClient(sample_profile()))


def small(name: str, **spec: Any) -> dict[str, Any]:
    made = node(name, "", 0)
    return {**made, "spec": spec, "status": {**made["status"], "allocatable": {"cpu": "1930m", "memory": "7875204Ki"}}}


def pod(containers: list[dict[str, str]], **spec: Any) -> dict[str, Any]:
    made = [{"name": "c", "resources": {"requests": requests}} for requests in containers]
    return {"metadata": {"name": "p"}, "spec": {"nodeName": "one", "containers": made, **spec}, "status": {}}


def test_nodes_that_take_no_pods_are_left_out(cluster: FakeCluster) -> None:
    taint = {"key": "dedicated", "effect": "NoSchedule"}
    cluster.answers["/api/v1/nodes"] = listing(
        small("one"),
        small("tainted", taints=[taint]),
        small("drained", taints=[{"key": "x", "effect": "NoExecute"}]),
        small("asked-not-to", taints=[{"key": "x", "effect": "PreferNoSchedule"}]),
        small("cordoned", unschedulable=True),
        node("lost", "NVIDIA-H100-80GB-HBM3", 8, ready=False),
        small("with-gpus", taints=[{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]),
    )
    known = of(cluster)
    assert [entry.name for entry in known] == ["one", "asked-not-to", "with-gpus"]
    assert [entry.gpus_alone for entry in known] == [False, False, True]


def test_what_runs_is_taken_off_and_what_tasks_have_comes_back(cluster: FakeCluster) -> None:
    cluster.answers["/api/v1/nodes"] = listing(small("one"))
    task = pod([{"cpu": "100m", "memory": "1Gi"}], serviceAccountName="longrun-tasks")
    cluster.answers["/api/v1/pods"] = listing(task, pod([{"cpu": "0.5", "memory": "512Mi"}]))
    (entry,) = of(cluster)
    cores, memory, _ = entry.free()
    assert cores == pytest.approx(1.33)
    assert memory == 7875204 * 1024 - 1536 * 2**20
    cores, memory, _ = entry.free(without_tasks=True)
    assert cores == pytest.approx(1.43)
    assert memory == 7875204 * 1024 - 512 * 2**20


def test_a_pod_asks_for_containers_and_sidecars_or_its_greediest_init_container_and_overhead(
    cluster: FakeCluster,
) -> None:
    cluster.answers["/api/v1/nodes"] = listing(small("one"))
    inits = [
        {"name": "sidecar", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}},
        {"name": "init", "resources": {"limits": {"cpu": "800m"}}},
    ]
    greedy = pod([{"cpu": "200m"}, {"cpu": "300m"}], initContainers=inits, overhead={"cpu": "50m"})
    cluster.answers["/api/v1/pods"] = listing(greedy)
    (entry,) = of(cluster)
    assert entry.taken[0] == pytest.approx(0.85)


def test_gpus_are_those_of_the_profile_s_kinds(cluster: FakeCluster) -> None:
    known = {entry.name: entry.free()[2] for entry in of(cluster)}
    assert known == {"one": 5, "two": 8, "other": -8}


def test_who_may_not_see_pods_of_others_counts_those_of_the_namespace(cluster: FakeCluster) -> None:
    cluster.answers["/api/v1/pods"] = 403
    assert {entry.name: entry.free()[2] for entry in of(cluster)} == {"one": 7, "two": 8, "other": 0}
