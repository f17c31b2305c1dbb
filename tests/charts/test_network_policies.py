"""Who may talk to whom: everything that a run needs, and nothing else."""

import pytest

from tests.charts import helm
from tests.charts.network import End, allowed


def _ours(component: str) -> End:
    own = {"app.kubernetes.io/name": "longrun", "app.kubernetes.io/instance": "longrun"}
    return End(labels={**own, "app.kubernetes.io/component": component})


ENDS = {
    **{name: _ours(name) for name in ("mlflow", "mlflow-migration", "postgres", "store", "retention")},
    "task": End(labels={"run": "f1"}),
    "ray node": End(labels={"ray.io/is-ray-node": "yes", "app.kubernetes.io/name": "kuberay"}),
    "flyte": End(labels={"app.kubernetes.io/name": "flyte-binary", "app.kubernetes.io/component": "flyte-binary"}),
    "console": End(labels={"app.kubernetes.io/name": "flyte-binary", "app.kubernetes.io/component": "console"}),
    "kuberay": End(labels={"app.kubernetes.io/name": "kuberay-operator"}),
    "dns": End(labels={"k8s-app": "kube-dns"}, namespace="kube-system"),
    "ingress": End(namespace="ingress-nginx"),
    "prometheus": End(namespace="monitoring"),
    "stranger": End(namespace="default"),
    "api server": End(address="10.20.8.9"),
    "external database": End(address="10.20.0.7"),
    "external store": End(address="10.20.4.7"),
    "internet": End(address="93.184.216.34"),
}
NEEDED = {
    "trial": """
        task -> mlflow:5000, store:8333, flyte:8090, ray node:10001
        ray node -> mlflow:5000, store:8333, ray node:6379, ray node:10002
        mlflow -> postgres:5432, store:8333
        mlflow-migration -> postgres:5432
        flyte -> postgres:5432, store:8333, api server:443, flyte:9444
        kuberay -> ray node:8265, api server:6443
        api server -> flyte:9443
        ingress -> mlflow:5000, flyte:8090, console:8080
    """,
    "production": """
        task -> internet:443
        mlflow -> external database:5432, internet:443
        mlflow-migration -> external database:5432
        flyte -> external database:5432
        ingress -> mlflow:5000
        prometheus -> mlflow:5000, ray node:8080, kuberay:8080
    """,
    "gpu": """
        ray node -> external store:9000, ray node:29500
        mlflow -> external database:5432, external store:9000
        flyte -> external store:9000
    """,
}
FORBIDDEN = {
    "trial": """
        task -> postgres:5432, store:8888, store:9333, kuberay:8080, api server:443, internet:443
        ray node -> postgres:5432, api server:6443
        mlflow -> ray node:8265, api server:443, internet:443
        store -> internet:443
        postgres -> internet:443
        retention -> mlflow:5000, internet:443
        kuberay -> postgres:5432, store:8333
        ingress -> store:8333, ray node:8265
        prometheus -> mlflow:5000
        stranger -> mlflow:5000, store:8333, postgres:5432, ray node:8265
    """,
    "production": """
        task -> external database:5432
        ray node -> external database:5432
        mlflow -> internet:80
        flyte -> external store:6443
        prometheus -> ray node:8265
        stranger -> mlflow:5000
    """,
    "gpu": """
        task -> internet:443, external database:5432
        mlflow -> internet:443
        ingress -> mlflow:5000
    """,
}


def _cases(table: dict[str, str]) -> list[object]:
    return [
        pytest.param(shape, source.strip(), target, int(port), id=f"{shape}: {source.strip()} to {target}:{port}")
        for shape, text in table.items()
        for source, _, targets in (line.partition(" -> ") for line in text.strip().splitlines())
        for target, port in (end.split(":") for end in targets.split(", "))
    ]


@pytest.mark.parametrize(("shape", "source", "target", "port"), _cases(NEEDED))
def test_what_a_run_needs_is_let_through(shape: str, source: str, target: str, port: int) -> None:
    assert allowed(helm.of_kind(shape, "NetworkPolicy").values(), ENDS[source], ENDS[target], port)


@pytest.mark.parametrize(("shape", "source", "target", "port"), _cases(FORBIDDEN))
def test_what_no_run_needs_is_not_let_through(shape: str, source: str, target: str, port: int) -> None:
    assert not allowed(helm.of_kind(shape, "NetworkPolicy").values(), ENDS[source], ENDS[target], port)


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_every_pod_may_ask_for_names(shape: str) -> None:
    policies = helm.of_kind(shape, "NetworkPolicy").values()
    pods = [End(labels=pod["metadata"].get("labels", {})) for pod in helm.pod_templates(shape).values()]
    assert all(allowed(policies, pod, ENDS["dns"], 53, protocol) for pod in pods for protocol in ("UDP", "TCP"))


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_without_its_policies_the_namespace_would_be_open(shape: str) -> None:
    assert allowed([], ENDS["stranger"], ENDS["postgres"], 5432)
    closed = [helm.of_kind(shape, "NetworkPolicy")["longrun-default-deny"]]
    assert not allowed(closed, ENDS["mlflow"], ENDS["postgres"], 5432)


def test_the_release_s_own_test_goes_the_way_of_a_task() -> None:
    labels = helm.pod_templates("trial")["Pod/longrun-connection-test"]["metadata"].get("labels", {})
    assert allowed(helm.of_kind("trial", "NetworkPolicy").values(), End(labels=labels), ENDS["mlflow"], 5000)


def test_policies_can_be_left_to_the_cluster() -> None:
    kinds = {document["kind"] for document in helm.documents("trial", "--set", "networkPolicy.enabled=false")}
    assert "NetworkPolicy" not in kinds


def test_a_node_local_dns_cache_and_a_model_hub_can_be_let_through() -> None:
    more = (
        "--set",
        "networkPolicy.dnsCidrs={169.254.20.10/32}",
        "--set",
        "networkPolicy.tasksEgress[0].to[0].ipBlock.cidr=93.184.0.0/16",
    )
    policies = [document for document in helm.documents("trial", *more) if document["kind"] == "NetworkPolicy"]
    assert allowed(policies, ENDS["mlflow"], End(address="169.254.20.10"), 53, "UDP")
    assert allowed(policies, ENDS["task"], ENDS["internet"], 443)
    assert not allowed(policies, ENDS["mlflow"], ENDS["internet"], 443)
