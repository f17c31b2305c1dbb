"""Which step fits on no node is said by name, with the largest free node, before anything is submitted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.cluster.client import ClusterClient
from tests.fake_cluster.kubernetes_api import FakeCluster, listing, node, reachable
from tests.infra.conftest import sample_profile
from workflows.commands.cluster.nodes import nodes_finding
from workflows.commands.doctor import Finding


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster without pods."""
    with reachable(tmp_path, monkeypatch) as fake:
        fake.answers["/api/v1/pods"] = listing()
        yield fake


def of_size(name: str, cores: str, memory: str, **spec: Any) -> dict[str, Any]:
    made = node(name, "", 0)
    return {**made, "spec": spec, "status": {**made["status"], "allocatable": {"cpu": cores, "memory": memory}}}


def running(where: str, memory: str, account: str = "default") -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": {"memory": memory}}}
    return {"metadata": {"name": "p"}, "spec": {"nodeName": where, "containers": [container], "serviceAccountName": account}}


def asked(**profile: Any) -> Finding:
    return nodes_finding(ClusterClient(sample_profile(gpus=(), **profile)), "nodes")


def test_the_trial_fits_a_node_of_two_cores_and_eight_gib_beside_its_services(cluster: FakeCluster) -> None:
    cluster.answers["/api/v1/nodes"] = listing(of_size("kind", "2", "7900Mi"))
    cluster.answers["/api/v1/pods"] = listing(running("kind", "3Gi"))
    assert asked(size="trial")["state"] == "ok", asked(size="trial")


def test_the_default_does_not_and_says_which_step_which_pod_and_what_is_free(cluster: FakeCluster) -> None:
    cluster.answers["/api/v1/nodes"] = listing(of_size("kind", "2", "8Gi"), of_size("smaller", "1", "4Gi"))
    finding = asked(size="default")
    assert finding["state"] == "failed"
    assert finding["found"].startswith("data (curation, token shards): pod data requests 4 cores, 16.0 GiB, and does not fit")
    assert finding["found"].endswith("most is free on kind: 2 cores, 8.0 GiB")
    assert "sizes." in finding["remedy"]


def test_a_head_and_its_workers_must_fit_at_the_same_time(cluster: FakeCluster) -> None:
    cluster.answers["/api/v1/nodes"] = listing(of_size("one", "8", "40Gi"), of_size("two", "8", "40Gi"))
    assert asked(workers=2)["state"] == "ok"
    finding = asked(workers=5)
    assert finding["state"] == "failed"
    assert "data (curation, token shards): 5 pods data, each of which requests 4 cores" in finding["found"]


def test_what_running_steps_hold_is_waited_for_and_what_stays_is_not(cluster: FakeCluster) -> None:
    cluster.answers["/api/v1/nodes"] = listing(of_size("one", "8", "32Gi"))
    assert asked()["state"] == "ok"
    cluster.answers["/api/v1/pods"] = listing(running("one", "20Gi", "longrun-tasks"))
    assert (asked()["state"], asked()["remedy"]) == ("warning", "a run waits until other runs end")
    cluster.answers["/api/v1/pods"] = listing(running("one", "20Gi"))
    assert asked()["state"] == "failed"


def test_nodes_that_are_for_gpus_alone_take_no_other_pods(cluster: FakeCluster) -> None:
    taints = [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    cluster.answers["/api/v1/nodes"] = listing(of_size("gpus", "96", "1Ti", taints=taints))
    finding = asked()
    assert (finding["state"], "pod" in finding["found"]) == ("failed", True)
    cluster.answers["/api/v1/nodes"] = listing()
    assert (asked()["state"], asked()["found"]) == ("failed", "no node is ready and accepts pods")


def test_training_needs_a_node_with_the_gpus_of_a_worker(cluster: FakeCluster) -> None:
    large = node("large", "NVIDIA-H100-80GB-HBM3", 8)
    cluster.answers["/api/v1/nodes"] = listing(large)
    profile = sample_profile()
    assert nodes_finding(ClusterClient(profile), "nodes")["state"] == "ok"
    del large["status"]["allocatable"]["nvidia.com/gpu"]
    finding = nodes_finding(ClusterClient(profile), "nodes")
    assert (finding["state"], "train (pretraining, sft, dpo): pod train" in finding["found"]) == ("failed", True)
