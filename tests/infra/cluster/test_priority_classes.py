"""Priority classes of an older chart: what is rendered by the real helm, against an API that keeps objects."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.cluster import helm
from infra.cluster.client import ClusterClient
from infra.cluster.priority_classes import delete_changed
from tests.charts import helm as real
from tests.fake_cluster.kubernetes_api import FakeCluster
from tests.infra.conftest import sample_profile

PROFILE = sample_profile(context="site")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster with the classes that the present chart makes, and one of somebody else."""
    with FakeCluster().serving() as fake:
        fake.write_kubeconfig(tmp_path / "kubeconfig", "token")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        fake.server.add(*(known for known in real.documents("trial") if known["kind"] == "PriorityClass"))
        fake.server.add(
            {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "other"}, "value": 1}
        )
        yield fake


def deleted() -> list[str]:
    release = helm.releases(PROFILE, helm.Sources(values=["trial"]))[0]
    return delete_changed(ClusterClient(PROFILE), release, str(real.helm()))


@pytest.mark.parametrize("change", [{"preemptionPolicy": "PreemptLowerPriority"}, {"value": 7}, {"preemptionPolicy": None}])
def test_a_class_that_the_chart_wants_otherwise_is_deleted_and_no_other(change: dict[str, object], cluster: FakeCluster) -> None:
    known = cluster.server.objects["priorityclasses", "", "longrun-training"]
    known.update({name: value for name, value in change.items() if value is not None})
    for name in [name for name, value in change.items() if value is None]:
        del known[name]
    assert deleted() == ["longrun-training"]
    remaining = {known["metadata"]["name"] for known in cluster.server.of("priorityclasses")}
    assert remaining == {"longrun-services", "longrun-evaluation", "other"}


def test_classes_as_the_chart_wants_them_stay(cluster: FakeCluster) -> None:
    assert deleted() == []
    assert len(cluster.server.of("priorityclasses")) == 4


def test_a_first_installation_renders_nothing(cluster: FakeCluster) -> None:
    for name in ("services", "training", "evaluation"):
        cluster.server.objects.pop(("priorityclasses", "", f"longrun-{name}"))
    release = helm.releases(PROFILE, helm.Sources(values=["trial"]))[0]
    assert delete_changed(ClusterClient(PROFILE), release, "no-such-program") == []
