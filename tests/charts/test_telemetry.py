"""No container tells anybody that it runs, over every container of the three charts and of all tasks."""

import pytest

from tests.charts import helm, operators
from tests.charts.tasks import task_pods

OWN = {
    "mlflow": ("MLFLOW_DISABLE_TELEMETRY", "true"),
    "migration": ("MLFLOW_DISABLE_TELEMETRY", "true"),
    # flyteorg/flyte v2.0.43, flytestdlib/sentryutils/sentryutils.go
    "flyte": ("FLYTE_DISABLE_SENTRY", "true"),
}
"""What else a service wants to hear, by its container."""


def settings(container: helm.Document) -> dict[str, str]:
    """Variables of a container, those included that its command sets by `env`."""
    program, *words = container.get("command") or [""]
    assignments = [word.partition("=") for word in words if "=" in word] if program == "env" else []
    return {e["name"]: e.get("value", "") for e in container.get("env") or []} | {n: value for n, _, value in assignments}


def telling(pods: dict[str, helm.Document]) -> list[str]:
    """Containers that were not told to keep quiet."""
    return [
        f"{name}: {container['name']}"
        for name, pod in pods.items()
        for container in helm.containers(pod)
        if not {("DO_NOT_TRACK", "true"), *([OWN[container["name"]]] if container["name"] in OWN else [])}
        <= settings(container).items()
    ]


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_every_container_of_our_chart_keeps_quiet(shape: str) -> None:
    assert telling(helm.pod_templates(shape)) == []


def test_every_container_of_the_operators_charts_keeps_quiet() -> None:
    assert telling(operators.pods()) == []


@pytest.mark.long
def test_every_container_of_every_task_keeps_quiet_and_ray_too() -> None:
    pods = {f"{name}/{pod['metadata']['name']}": pod for name, made in task_pods().items() for pod in made}
    assert telling(pods) == []
    assert [n for n, pod in pods.items() for c in helm.containers(pod) if settings(c).get("RAY_USAGE_STATS_ENABLED") != "0"] == []


@pytest.mark.parametrize("forgotten", ["DO_NOT_TRACK", "FLYTE_DISABLE_SENTRY"])
def test_a_container_that_was_not_told_is_found(forgotten: str) -> None:
    known = operators.values("flyte")
    kept = [entry for entry in known["deployment"]["extraEnvVars"] if entry["name"] != forgotten]
    changed = {**known, "deployment": {**known["deployment"], "extraEnvVars": kept}}
    assert telling(operators.pods({"flyte": changed})) == ["flyte: flyte"]


def test_the_store_sends_no_statistics() -> None:
    (store,) = helm.pod_templates("trial")["StatefulSet/longrun-store"]["spec"]["containers"]
    assert "-master.telemetry=false" in store["args"]


def test_flyte_switches_the_statistics_of_ray_clusters_off() -> None:
    assert operators.own_values("flyte")["configuration"]["inline"]["plugins"]["ray"]["enableUsageStats"] is False
