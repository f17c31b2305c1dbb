"""`longrun deploy --remove` against an API that keeps objects as Kubernetes does, and a helm that hangs where a real one does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import infra.cluster.client
from components.errors import ClusterError, ConfigError
from infra.cluster import removal
from infra.cluster.profiles import write_profile
from tests.fake_cluster import helm as fake_helm
from tests.fake_cluster.api_server import ApiServer, Json
from tests.fake_cluster.helm import FLYTES, KUBERAYS, recorded, uninstall
from tests.fake_cluster.kubernetes_api import NAMESPACE, FakeCluster
from tests.infra.conftest import sample_profile
from workflows.cli.main import app

DONE = {"conditions": [{"type": "Succeeded", "status": "True"}]}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster on which a run has ended; nobody waits longer than needed."""
    monkeypatch.setattr(infra.cluster.client, "SECONDS", 300.0)
    monkeypatch.setattr(removal, "POLL_SECONDS", 0.0)
    with FakeCluster().serving() as fake:
        fake.write_kubeconfig(tmp_path / "kubeconfig", "token")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        del fake.answers[f"{NAMESPACE}/pods"]
        installed(fake.server)
        yield fake


@pytest.fixture
def calls(cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return fake_helm.on_path(tmp_path, cluster.url, monkeypatch)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_profile(tmp_path, "site", sample_profile(context="site"))
    return tmp_path


def installed(server: ApiServer) -> None:
    """What `deploy` and a finished run leave in a namespace, and what belongs to others."""
    server.serving = {FLYTES, KUBERAYS}
    for name in ("flyte", "kuberay-operator"):
        server.add(made("Deployment", name, status={"readyReplicas": 1}))
    owner = {"ownerReferences": [{"kind": "TaskAction", "name": "r1-a0"}]}
    server.add(
        made("TaskAction", "r1-a0", finalizers=[FLYTES], spec={"runName": "r1"}, status=DONE),
        made("RayJob", "r1-a1", finalizers=[KUBERAYS], status={"jobDeploymentStatus": "Complete"}, **owner),
        made("RayCluster", "left-over"),
        made("Pod", "r1-a0", labels={"app.kubernetes.io/part-of": "longrun"}),
        made("Pod", "longrun-postgres-0", labels={"app.kubernetes.io/instance": "longrun"}),
        *(made("Secret", name) for name in ("flyte-webhook-secret", "longrun-postgres", "longrun-store", "longrun-mlflow")),
        made("ConfigMap", "longrun-connection-test"),
        made("PersistentVolumeClaim", "data-longrun-postgres-0"),
        made("Lease", "ray-operator-leader"),
        made("MutatingWebhookConfiguration", "flyte-webhook", webhooks=[webhook("longrun")]),
        made("MutatingWebhookConfiguration", "another-flytes", webhooks=[webhook("elsewhere")]),
        made(
            "MutatingWebhookConfiguration", "somebody-elses", webhooks=[{"name": "x.org", "clientConfig": {"url": "https://x"}}]
        ),
    )


def made(kind: str, name: str, *, status: Any = None, spec: Any = None, webhooks: Any = None, **metadata: Any) -> Json:
    bodies = {"status": status, "spec": spec, "webhooks": webhooks}
    return {"kind": kind, "metadata": {"name": name, **metadata}} | {
        key: body for key, body in bodies.items() if body is not None
    }


def webhook(namespace: str) -> Json:
    service = {"name": "flyte-webhook", "namespace": namespace}
    return {"name": "flyte-pod-webhook.flyte.org", "clientConfig": {"service": service}}


def names(server: ApiServer, plural: str) -> list[str]:
    return [item["metadata"]["name"] for item in server.of(plural)]


def changes(cluster: FakeCluster) -> list[str]:
    """Requests that change something, in order."""
    return [line for line in cluster.asked if not line.startswith("GET")]


def remove(home: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["deploy", "--remove", "--profile", "site", "--home", str(home), *words])
    if isinstance(result.exception, ClusterError | ConfigError):
        return 1, result.output + str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def require_clean(server: ApiServer) -> None:
    """What is left is what the documents name, and what belongs to others."""
    for plural in ("taskactions", "rayjobs", "rayclusters", "leases", "configmaps"):
        assert names(server, plural) == [], plural
    assert names(server, "pods") == ["longrun-postgres-0"]
    assert names(server, "secrets") == ["longrun-postgres", "longrun-store", "longrun-mlflow"]
    assert names(server, "persistentvolumeclaims") == ["data-longrun-postgres-0"]
    assert names(server, "mutatingwebhookconfigurations") == ["another-flytes", "somebody-elses"]


def test_releases_go_after_what_hangs_on_them_and_flyte_before_its_database(
    cluster: FakeCluster, calls: Path, home: Path
) -> None:
    code, text = remove(home)
    assert code == 0, text
    require_clean(cluster.server)
    assert [call[:2] for call in recorded(calls)] == [
        ["uninstall", "flyte"],
        ["uninstall", "kuberay"],
        ["uninstall", "longrun"],
    ]
    for call in recorded(calls):
        assert call[2:6] == ["--namespace", "longrun", "--kube-context", "site"]
        assert call[6:] == ["--ignore-not-found", "--wait", "--timeout", "10m"]
    changed = [line.rpartition("/")[2] for line in changes(cluster) if line.startswith("DELETE")]
    assert changed.index("r1-a0") < changed.index("left-over")
    assert changed.index("flyte-webhook-secret") < changed.index("flyte-webhook")
    assert "claims with their volumes: data-longrun-postgres-0" in text


def test_helm_alone_hangs_on_finalizers_that_nobody_serves_as_it_did_on_a_real_cluster(cluster: FakeCluster) -> None:
    assert "context deadline exceeded" in uninstall(cluster.server, "flyte")


def test_what_helm_hung_on_before_is_taken_away(cluster: FakeCluster, calls: Path, home: Path) -> None:
    assert uninstall(cluster.server, "flyte")
    uninstall(cluster.server, "kuberay")
    code, text = remove(home)
    assert code == 0, text
    require_clean(cluster.server)


def test_an_operator_that_runs_but_does_not_serve_its_finalizers_is_waited_for_and_then_replaced(
    cluster: FakeCluster, calls: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.server.serving.clear()
    monkeypatch.setattr(removal, "GONE_SECONDS", 0.2)
    code, text = remove(home)
    assert code == 0, text
    require_clean(cluster.server)


def test_what_holds_on_whatever_is_done_is_named(
    cluster: FakeCluster, calls: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.server.serving.clear()
    cluster.answers["/apis/flyte.org/v1/namespaces/longrun/taskactions/r1-a0"] = {}
    monkeypatch.setattr(removal, "GONE_SECONDS", 0.1)
    code, text = remove(home)
    assert (code, "1 Flyte's actions still exist, such as r1-a0; run this command again" in text) == (1, True)
    assert recorded(calls) == []


GOING = {
    "an action": ("TaskAction", {"spec": {"runName": "r20261130-1"}}, "r20261130-1"),
    "a job of nobody's": ("RayJob", {"status": {"jobDeploymentStatus": "Running"}}, "busy"),
    "a job that KubeRay has not seen": ("RayJob", {}, "busy"),
}


@pytest.mark.parametrize("case", GOING)
def test_it_refuses_while_runs_go_on_and_stops_them_when_told(case: str, cluster: FakeCluster, calls: Path, home: Path) -> None:
    kind, body, shown = GOING[case]
    cluster.server.add(made(kind, "busy", **body))
    code, text = remove(home)
    assert code == 1
    assert (
        f"1 runs are active in longrun: {shown}; wait until they end, cancel them with longrun cancel RUN, or add --stop-runs"
        in text
    )
    assert changes(cluster) == []
    assert recorded(calls) == []
    code, text = remove(home, "--stop-runs")
    assert code == 0, text
    require_clean(cluster.server)


def test_after_an_interruption_anywhere_the_same_command_ends_clean(
    cluster: FakeCluster, calls: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("flyte", "kuberay", "longrun"):
        fake_helm.refuse(name, monkeypatch)
        code, text = remove(home)
        assert (code, f"helm uninstall {name} failed: Error" in text) == (1, True)
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/flyte-webhook"
    cluster.answers[path] = 403
    cluster.server.add(made("MutatingWebhookConfiguration", "flyte-webhook", webhooks=[webhook("longrun")]))
    fake_helm.refuse("", monkeypatch)
    code, text = remove(home)
    assert (code, "answered 403 Forbidden" in text) == (1, True)
    del cluster.answers[path]
    for _ in range(2):
        code, text = remove(home)
        assert code == 0, text
        require_clean(cluster.server)


def test_a_dry_run_says_every_step_and_changes_nothing(cluster: FakeCluster, calls: Path, home: Path) -> None:
    cluster.server.add(made("TaskAction", "busy", spec={"runName": "r9"}))
    code, text = remove(home, "--dry-run")
    assert code == 0, text
    assert changes(cluster) == []
    assert recorded(calls) == []
    words = [
        "active runs: r9",
        "Flyte's actions: r1-a0, busy",
        "Ray jobs: r1-a1",
        "helm uninstall flyte --namespace longrun",
        "webhook configuration and Secret",
        "helm uninstall kuberay",
        "helm uninstall longrun",
        "kept: namespace longrun",
    ]
    assert sorted(words, key=text.index) == words


def test_stopping_runs_is_about_removing(home: Path) -> None:
    result = CliRunner().invoke(app, ["deploy", "--stop-runs", "--profile", "site", "--home", str(home)])
    assert "add --remove" in str(result.exception)
