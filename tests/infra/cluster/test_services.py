"""What is asked of the services of a cluster over real HTTP: each answer, and each refusal as an error of ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import ClusterError
from infra.cluster import services
from infra.cluster.client import Missing, Refused
from infra.cluster.profiles import Profile
from tests.fake_cluster.kubernetes_api import FakeCluster, reachable
from tests.infra.conftest import sample_profile
from tests.servers import free_port


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster where everything is well, and which a busy machine may answer late."""
    with reachable(tmp_path, monkeypatch) as fake:
        yield fake


@pytest.fixture
def profile(cluster: FakeCluster) -> Profile:
    """The profile of that cluster."""
    return sample_profile(endpoint=cluster.url, mlflow_uri=cluster.url, image_registry=f"{cluster.host}/longrun")


def test_flytes_health_is_asked_where_the_endpoint_says(profile: Profile, cluster: FakeCluster) -> None:
    assert services.flyte_health(profile) == cluster.url
    assert "GET /healthz" in cluster.asked


def test_a_version_that_mlflow_tells_only_to_users_is_empty(profile: Profile, cluster: FakeCluster) -> None:
    cluster.answers["/version"] = "3.17.2\n"
    assert services.mlflow_version(profile) == "3.17.2"
    cluster.answers["/version"] = 401
    assert services.mlflow_version(profile) == ""


def test_an_image_is_asked_for_with_the_token_for_everybody(profile: Profile, cluster: FakeCluster) -> None:
    services.require_image(profile.image("core"))
    cluster.private_registry = True
    with pytest.raises(Refused):
        services.require_image(profile.image("core"))
    cluster.answers[f"/v2/longrun/core/manifests/{profile.image_digests['core']}"] = 404
    with pytest.raises(Missing, match="answered 404"):
        services.require_image(profile.image("core"))


def test_nobody_listening_is_one_line_with_the_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ClusterError, match=rf"^no answer from {url}/healthz: .*refused") as caught:
        services.flyte_health(sample_profile(endpoint=url))
    assert "\n" not in str(caught.value)
