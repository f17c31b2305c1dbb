"""`longrun deploy`: helm as a process of its own, a cluster's interfaces over real HTTP."""

import itertools
import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import infra.cluster.client
from components.errors import ClusterError, ConfigError
from infra.cluster import helm
from infra.cluster.profiles import read_profile, write_profile
from infra.cluster.service_images import CHARTS
from tests.charts import helm as real
from tests.fake_cluster import helm as fake_helm
from tests.fake_cluster.flyte_service import FakeFlyte
from tests.fake_cluster.helm import recorded
from tests.fake_cluster.kubernetes_api import NAMESPACE, FakeCluster, api_version
from tests.infra.conftest import sample_profile
from workflows.cli.main import app
from workflows.commands.cluster import doctor as cluster_doctor

PLANTED = "planted-password"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the helm on the PATH writes its calls; nothing else is on the PATH."""
    return fake_helm.on_path(tmp_path, "", monkeypatch)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster with the namespace."""
    monkeypatch.setattr(infra.cluster.client, "SECONDS", 300.0)
    monkeypatch.setattr(cluster_doctor, "MAX_SECONDS", 300.0)
    monkeypatch.setattr(cluster_doctor, "SECONDS", 1.0)
    with FakeCluster().serving() as fake:
        fake.write_kubeconfig(tmp_path / "kubeconfig", PLANTED)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        fake.answers[NAMESPACE] = {"metadata": {"name": "longrun"}}
        yield fake


@pytest.fixture
def home(tmp_path: Path, cluster: FakeCluster) -> Path:
    """A home with the cluster's profile."""
    profile = sample_profile(
        endpoint=cluster.url,
        mlflow_uri=cluster.url,
        image_registry=f"{cluster.host}/longrun",
        object_store_endpoint=cluster.url,
        context="site",
    )
    write_profile(tmp_path, "site", profile)
    return tmp_path


def deploy(home: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["deploy", "--profile", "site", "--recipe", "tiny", "--home", str(home), *words])
    if isinstance(result.exception, ClusterError | ConfigError):
        return 1, result.output + str(result.exception)
    return result.exit_code, result.output


def values_of(call: list[str]) -> list[str]:
    return [after for before, after in itertools.pairwise(call) if before == "--values"]


def test_three_releases_are_installed_in_order_and_waited_for(home: Path, calls: Path) -> None:
    deploy(home, "--values", "trial")
    made = recorded(calls)
    assert [call[:4] for call in made] == [
        ["upgrade", "--install", "longrun", str(CHARTS / "longrun")],
        ["upgrade", "--install", "kuberay", "kuberay-operator"],
        ["upgrade", "--install", "flyte", "flyte-binary"],
    ]
    for call in made:
        assert call[-3:] == ["--wait", "--timeout", "10m"]
        assert call[call.index("--namespace") + 1] == "longrun"
        assert call[call.index("--kube-context") + 1] == "site"
    assert [call[call.index("--version") + 1] for call in made[1:]] == ["1.7.0", "v2.0.43"]


def test_flytes_project_is_made_where_flyte_can_be_reached_and_else_by_the_first_submission(home: Path, calls: Path) -> None:
    with FakeFlyte(projects={}).serving() as flyte:
        write_profile(home, "site", replace(read_profile(home, "site"), endpoint=flyte.url, secrets={}), replace=True)
        assert "Flyte project longrun: created\n" in deploy(home, "--values", "trial")[1]
        assert list(flyte.projects) == ["longrun"]
        assert "Flyte project longrun: exists\n" in deploy(home, "--values", "trial")[1]
    write_profile(home, "site", replace(read_profile(home, "site"), secrets={"FLYTE_TOKEN": "environment:NONE"}), replace=True)
    assert (
        "Flyte project longrun: not created; the first submitted run creates it if it is allowed to: FLYTE_TOKEN is not sent"
        in (deploy(home, "--values", "trial")[1])
    )


def test_it_ends_with_the_examination_of_the_cluster(home: Path, calls: Path, cluster: FakeCluster) -> None:
    cluster.answers["/version/"] = api_version("20")
    code, text = deploy(home, "--values", "trial")
    assert code == 1
    assert "failed   kubernetes            version 1.20" in text
    assert text.index("flyte: installing flyte-binary v2.0.43") < text.index("failed   kubernetes")
    assert "notes of longrun" in text
    assert "notes of flyte" not in text


@pytest.mark.long
def test_the_namespace_is_made_with_restricted_pod_security_once(home: Path, calls: Path, cluster: FakeCluster) -> None:
    cluster.answers["/api/v1/namespaces"] = cluster.answers.pop(NAMESPACE)
    assert "namespace longrun: created" in deploy(home, "--values", "trial")[1]
    (body,) = cluster.posted["/api/v1/namespaces"]
    assert body["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.answers[NAMESPACE] = {"metadata": {"name": "longrun"}}
    assert "namespace longrun: exists" in deploy(home, "--values", "trial")[1]
    assert len(cluster.posted["/api/v1/namespaces"]) == 1


@pytest.mark.long
def test_values_are_laid_over_one_another_in_the_order_given(home: Path, calls: Path, tmp_path: Path) -> None:
    mine, flyte = tmp_path / "mine.yaml", tmp_path / "flyte.yaml"
    mine.touch()
    flyte.touch()
    deploy(home, "--values", "production", "--values", str(mine), "--flyte-values", str(flyte))
    own, _, last = recorded(calls)
    assert values_of(own) == [str(CHARTS / "longrun" / "ci" / "production-values.yaml"), str(mine)]
    assert values_of(last) == [str(CHARTS / "values" / "flyte.yaml"), str(flyte)]
    assert "--set-string" not in own


def test_a_release_that_helm_refuses_stops_there_with_its_last_word(
    home: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELM_REFUSES", "longrun")
    code, text = deploy(home, "--values", "trial")
    assert code == 1
    assert (
        "helm upgrade longrun failed: Error: UPGRADE FAILED: context deadline exceeded; see the release with: helm status" in text
    )
    assert [call[2] for call in recorded(calls)] == ["longrun"]


def test_without_helm_on_the_path_nothing_is_touched(home: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    code, text = deploy(home, "--values", "trial")
    assert (code, "helm is not on the PATH; install helm" in text) == (1, True)
    assert cluster.asked == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--values is missing"),
        (
            ("--values", "absent.yaml"),
            "values file absent.yaml does not exist; allowed: a file, or one of trial, production,",
        ),
        (("--values", "trial", "--flyte-values", "absent.yaml"), "values file absent.yaml does not exist"),
    ],
)
def test_values_that_are_not_there_are_named(words: tuple[str, ...], message: str, home: Path, calls: Path) -> None:
    assert message in deploy(home, *words)[1]
    assert recorded(calls) == []


def test_a_dry_run_prints_the_commands_and_renders_our_chart_with_the_real_helm(
    home: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{real.helm().parent}{os.pathsep}{os.environ['PATH']}")
    code, text = deploy(home, "--values", "trial", "--dry-run")
    assert code == 0, text
    printed = [shlex.split(line) for line in text.splitlines() if line.startswith("helm ")]
    profile = read_profile(home, "site")
    assert printed == [helm.upgrade(release, profile) for release in helm.releases(profile, helm.Sources(values=["trial"]))]
    assert text.splitlines()[-1] == f"# longrun renders to {len(real.documents('trial'))} objects"
    assert cluster.asked == []


def test_a_dry_run_says_what_is_wrong_with_values(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{real.helm().parent}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "mine.yaml").write_text("mlfow: {}\n")
    code, text = deploy(home, "--values", "trial", "--values", str(tmp_path / "mine.yaml"), "--dry-run")
    assert code == 1
    assert "mlfow" in text


def test_no_secret_of_the_environment_is_printed_or_handed_to_helm(
    home: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profile(home, "site", replace(read_profile(home, "site"), secrets={"TOKEN": "environment:PLANTED_TOKEN"}), replace=True)
    for name in ("AWS_SECRET_ACCESS_KEY", "PLANTED_TOKEN", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, PLANTED)
    for words in (["--dry-run"], []):
        assert PLANTED not in deploy(home, "--values", "trial", *words)[1]
    assert PLANTED not in calls.read_text()
