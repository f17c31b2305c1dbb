"""A cluster's services from this machine: keys by reference for a block, addresses from outside, nothing of another cluster."""

import os
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from components.errors import ClusterError, ConfigError
from infra.bucket import Bucket, object_store_endpoint
from infra.cluster.profiles import Profile
from infra.outside import STORE, STORE_KEYS, TRACKING, TRACKING_KEYS, reached
from tests.fake_cluster.kubernetes_api import NAMESPACE, FakeCluster
from tests.infra.conftest import sample_profile
from tests.infra.s3_server import BUCKET, KillingProxy, bucket
from tests.servers import free_port

SECRETS = {
    "AWS_ACCESS_KEY_ID": "kubernetes:object-store/id",
    "AWS_SECRET_ACCESS_KEY": "kubernetes:object-store/key",
    "MLFLOW_TRACKING_PASSWORD": "environment:MY_PASSWORD",
    "HF_TOKEN": "kubernetes:other/token",
}
ADDRESSES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AWS_ALLOW_HTTP", "AWS_REGION", "AWS_DEFAULT_REGION")


def secret(**values: str) -> dict[str, Any]:
    return {"metadata": {"name": "s"}, "data": {key: b64encode(value.encode()).decode() for key, value in values.items()}}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster with keys in a Secret, and this machine without any."""
    for name in (*STORE_KEYS, *TRACKING_KEYS, *ADDRESSES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MY_PASSWORD", "of mlflow")
    with FakeCluster().serving() as fake:
        fake.answers[f"{NAMESPACE}/secrets/object-store"] = secret(id="theirs", key="their secret")
        fake.write_kubeconfig(tmp_path / "kubeconfig", "token")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield fake


@pytest.fixture
def site(cluster: FakeCluster) -> Profile:
    return sample_profile(
        name="site", context="site", mlflow_uri=cluster.url, object_store_endpoint=cluster.url, secrets=SECRETS,
        artifact_root=f"s3://{BUCKET}/longrun",
    )  # fmt: skip


def seen(*names: str) -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in names}


def test_keys_are_read_by_reference_for_the_block_and_are_gone_after_it(site: Profile, cluster: FakeCluster) -> None:
    names = (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "MLFLOW_TRACKING_PASSWORD",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ALLOW_HTTP",
        "HF_TOKEN",
    )
    before = seen(*names)
    with reached(site) as outside:
        assert list(seen(*names).values()) == ["theirs", "their secret", "of mlflow", cluster.url, "true", before["HF_TOKEN"]]
        assert object_store_endpoint(site.artifact_root) == cluster.url
        assert (outside.mlflow_uri, outside.name) == (site.mlflow_uri, "site")
    assert seen(*names) == before
    assert [path for path in cluster.asked if "/secrets/other" in path] == []


def test_they_are_gone_after_a_failure_too(site: Profile) -> None:
    with pytest.raises(ZeroDivisionError), reached(site):
        raise ZeroDivisionError
    assert seen("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL_S3") == {"AWS_ACCESS_KEY_ID": None, "AWS_ENDPOINT_URL_S3": None}


def test_keys_and_addresses_of_this_machine_are_not_used_for_a_cluster_that_names_its_own(
    site: Profile, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_SESSION_TOKEN": "mine",
        "AWS_ENDPOINT_URL": "http://elsewhere",
        "AWS_PROFILE": "me",
    }
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    with reached(site):
        assert list(seen(*mine).values()) == ["theirs", None, None, None]
        assert object_store_endpoint(site.artifact_root) == cluster.url
    assert seen(*mine) == mine


def test_only_what_a_command_needs_is_asked_for(site: Profile, cluster: FakeCluster) -> None:
    with reached(replace(site, object_store_endpoint=f"http://127.0.0.1:{free_port()}"), (TRACKING,)):
        assert seen("AWS_ACCESS_KEY_ID", "MLFLOW_TRACKING_PASSWORD") == {
            "AWS_ACCESS_KEY_ID": None,
            "MLFLOW_TRACKING_PASSWORD": "of mlflow",
        }
    assert cluster.asked == []


@pytest.mark.parametrize("answer", [403, 404, secret(other="x")])
def test_a_secret_that_cannot_be_read_is_named_and_this_machine_s_keys_of_that_name_stand_in(
    answer: Any, site: Profile, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.answers[f"{NAMESPACE}/secrets/object-store"] = answer
    with (
        pytest.raises(
            ClusterError,
            match=r"AWS_\w+ cannot be read from Secret object-store in namespace longrun, .*or set environment variable AWS_",
        ) as caught,
        reached(site),
    ):
        pass
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "my secret")
    with reached(site):
        assert list(seen("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY").values()) == ["mine", "my secret"]


def test_a_variable_that_is_not_set_is_named(site: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_PASSWORD")
    with (
        pytest.raises(
            ConfigError, match="environment variable MY_PASSWORD, from which the profile takes MLFLOW_TRACKING_PASSWORD, is not"
        ),
        reached(site),
    ):
        pass


def test_a_store_of_one_s_own_without_keys_is_refused_before_a_cloud_is_asked_for_some(site: Profile) -> None:
    """Clients without keys ask the metadata address of a cloud."""
    with pytest.raises(ConfigError, match=r"no keys for http://127.*AWS_ACCESS_KEY_ID"), reached(replace(site, secrets={})):
        pass


# Addresses


def test_an_address_in_the_cluster_is_named_with_the_port_forward_and_the_value_to_set(site: Profile) -> None:
    inside = replace(site, mlflow_uri="http://longrun-mlflow.longrun.svc.cluster.local:5000")
    with pytest.raises(ClusterError) as caught, reached(inside):
        pass
    message = str(caught.value)
    assert message.startswith(
        "mlflow_uri http://longrun-mlflow.longrun.svc.cluster.local:5000 cannot be reached from this machine ("
    )
    assert "run: kubectl --context site --namespace longrun port-forward service/longrun-mlflow 5000:5000; then once: " in message
    assert message.endswith("longrun profile change site --set outside.mlflow_uri=http://127.0.0.1:5000")


def test_an_address_from_outside_is_used_and_where_nobody_listens_the_port_forward_is_asked_about(
    site: Profile, cluster: FakeCluster
) -> None:
    inside = replace(site, object_store_endpoint="http://longrun-store:8333", outside={STORE: cluster.url})
    with reached(inside) as outside:
        assert outside.object_store_endpoint == object_store_endpoint(site.artifact_root) == cluster.url
    port = free_port()
    forwarded = replace(inside, outside={STORE: f"http://127.0.0.1:{port}"})
    with (
        pytest.raises(ClusterError, match=rf"check that this is running: kubectl .*service/longrun-store {port}:8333$"),
        reached(forwarded),
    ):
        pass


def test_a_public_address_that_does_not_answer_asks_for_no_port_forward(site: Profile) -> None:
    with pytest.raises(ClusterError) as caught, reached(replace(site, mlflow_uri=f"http://127.0.0.1:{free_port()}")):
        pass
    assert "port-forward" not in str(caught.value)


# Clients


@dataclass
class WatchingProxy(KillingProxy):
    """Writes down whose key each request is signed with."""

    fatal: int = 0
    before: bool = False
    signers: list[str] = field(default_factory=list)

    def hand_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        self.signers.append(
            headers.get("authorization", headers.get("Authorization", "")).partition("Credential=")[2].split("/")[0]
        )
        return super().hand_on(method, path, headers, body)


def test_clusters_that_are_read_in_turn_each_see_their_own_keys_whatever_proxy_this_machine_has(
    site: Profile, cluster: FakeCluster, tmp_path: Path
) -> None:
    cluster.answers[f"{NAMESPACE}/secrets/second"] = secret(id="second", key="their secret")
    with bucket(tmp_path / "log") as url:
        proxy = WatchingProxy(target=url)
        with proxy.serving() as watched, pytest.MonkeyPatch.context() as proxied:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                proxied.setenv(name, f"http://127.0.0.1:{free_port()}")
            first = replace(site, object_store_endpoint=watched)
            second = replace(
                first,
                secrets={"AWS_ACCESS_KEY_ID": "kubernetes:second/id", "AWS_SECRET_ACCESS_KEY": "kubernetes:second/key"},
            )
            for profile in (first, second, first):
                with reached(profile):
                    Bucket(profile.artifact_root, object_store_endpoint(profile.artifact_root)).sizes("x")
    assert proxy.signers == ["theirs", "second", "theirs"]
