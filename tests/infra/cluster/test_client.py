"""What is asked of Kubernetes over real HTTP: each answer, and each refusal as an error of ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import ClusterError
from infra.cluster.client import ClusterClient, Gpus, Missing, Refused
from infra.cluster.profiles import Profile
from tests.fake_cluster.kubernetes_api import NAMESPACE, FakeCluster, listing, pod, reachable
from tests.infra.conftest import sample_profile


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster where everything is well, and which a busy machine may answer late."""
    with reachable(tmp_path, monkeypatch) as fake:
        yield fake


@pytest.fixture
def profile(cluster: FakeCluster) -> Profile:
    """The profile of that cluster."""
    return sample_profile(endpoint=cluster.url, mlflow_uri=cluster.url, image_registry=f"{cluster.host}/longrun")


@pytest.fixture
def client(profile: Profile) -> ClusterClient:
    return ClusterClient(profile)


def test_what_a_cluster_answers_is_read(client: ClusterClient) -> None:
    assert client.version() == (1, 37)
    assert client.kinds("ray.io", "v1") == {"rayclusters", "rayjobs"}
    assert client.kinds("nobody.io", "v1") == set()
    assert client.may("list", "pods")
    assert client.default_storage_class() == "fast"
    assert client.claim("checkpoints") == ("Bound", ["ReadWriteMany"])
    assert client.quota() == {"requests.nvidia.com/gpu": ("3", "32"), "pods": ("0", "100")}


def test_gpus_are_those_of_the_profiles_kinds_on_ready_nodes_less_what_pods_have_there(
    client: ClusterClient, cluster: FakeCluster
) -> None:
    assert client.gpus() == Gpus(total=16, taken=3, everywhere=True)
    cluster.answers["/api/v1/pods"] = 403
    assert client.gpus() == Gpus(total=16, taken=1, everywhere=False)


def test_a_pod_takes_its_containers_gpus_together_or_its_greediest_init_containers(
    client: ClusterClient, cluster: FakeCluster
) -> None:
    greedy = pod("one", 2)
    greedy["spec"]["containers"] *= 2
    assert _taken(client, cluster, greedy) == 4
    greedy["spec"]["initContainers"] = [pod("one", 7)["spec"]["containers"][0]]
    assert _taken(client, cluster, greedy) == 7


def _taken(client: ClusterClient, cluster: FakeCluster, holder: object) -> int:
    cluster.answers["/api/v1/pods"] = listing(holder)
    return client.gpus().taken


def test_a_namespace_is_made_once(client: ClusterClient, cluster: FakeCluster) -> None:
    cluster.answers["/api/v1/namespaces"] = {"metadata": {"name": "longrun"}}
    assert client.ensure_namespace()
    cluster.answers[NAMESPACE] = {"metadata": {"name": "longrun"}}
    assert not client.ensure_namespace()
    assert len(cluster.posted["/api/v1/namespaces"]) == 1


@pytest.mark.parametrize(("status", "kind"), [(401, Refused), (403, Refused), (404, Missing), (500, ClusterError)])
def test_a_refusal_is_an_error_of_its_kind(
    status: int, kind: type[Exception], client: ClusterClient, cluster: FakeCluster
) -> None:
    cluster.answers["/version/"] = status
    with pytest.raises(kind, match=f"the Kubernetes API answered {status}") as caught:
        client.version()
    assert type(caught.value) is kind


def test_a_service_account_that_is_not_there_is_missing(client: ClusterClient) -> None:
    client.service_account("longrun-tasks")
    with pytest.raises(Missing):
        client.service_account("nobody")
