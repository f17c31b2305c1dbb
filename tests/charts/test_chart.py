"""What the chart renders in each shape that it supports."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.charts import helm

OLDEST, NEWEST = "1.29", "1.37"
FOREIGN = ("monitoring.coreos.com/v1",)
"""Kinds that are not Kubernetes' own: the Prometheus operator's."""


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_helm_lint_finds_nothing(shape: str) -> None:
    done = helm.run("lint", "--strict", str(helm.CHART), "--values", str(helm.values(shape)))
    assert done.returncode == 0, done.stdout


@pytest.mark.long
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("shape", helm.SHAPES)
def test_every_document_is_valid_in_the_oldest_and_the_newest_kubernetes(shape: str, version: str) -> None:
    for document in helm.documents(shape):
        if document["apiVersion"] not in FOREIGN:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    quota = dict(helm.of_kind("trial", "ResourceQuota")["longrun"])
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**quota, "spec": {"hards": {}}}, NEWEST, strict=True)


def test_the_oldest_kubernetes_is_the_one_that_the_chart_asks_for() -> None:
    assert helm.chart()["kubeVersion"] == f">={OLDEST}.0-0"


def test_the_images_of_the_chart_are_those_of_this_version() -> None:
    project = tomllib.loads((helm.ROOT / "pyproject.toml").read_text())["project"]
    assert helm.chart()["appVersion"] == helm.chart()["version"] == project["version"]


def test_two_documents_never_share_a_name() -> None:
    for shape in helm.SHAPES:
        names = [(d["kind"], d["metadata"]["name"]) for d in helm.documents(shape)]
        assert len(names) == len(set(names))


def _keys(values: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(values, dict):
        yield above
        for key, below in values.items():
            yield from _keys(below, (*above, key))


OPEN = ("annotations", "hard", "default", "defaultRequest", "labels", "dashboardLabels", "requests", "limits", "global")
"""Maps whose keys are the user's."""
CLOSED = [
    ".".join(path) or "top level"
    for path in _keys(yaml.safe_load((helm.CHART / "values.yaml").read_text()))
    if not set(path) & set(OPEN)
]


@pytest.mark.parametrize("section", CLOSED)
def test_a_key_that_does_not_exist_is_refused_everywhere(section: str) -> None:
    path = "" if section == "top level" else f"{section}."
    done = helm.render("trial", "--set", f"{path}misspelt=1")
    assert done.returncode != 0
    assert "misspelt" in done.stderr


def test_every_value_has_a_place_in_the_schema() -> None:
    schema = json.loads((helm.CHART / "values.schema.json").read_text())
    values = yaml.safe_load((helm.CHART / "values.yaml").read_text())
    assert set(schema["properties"]) == {*values, "global"}
    assert schema["additionalProperties"] is False


REFUSALS = {
    "database.host is empty": ["--set", "database.bundled.enabled=false"],
    "database.existingSecret is empty": ["--set", "database.bundled.enabled=false,database.host=db"],
    "networkPolicy.databaseCidrs is empty": [
        "--set",
        "database.bundled.enabled=false,database.host=db,database.existingSecret=s",
    ],
    "networkPolicy.storeCidrs is empty": ["--set", "store.bundled.enabled=false"],
    "mlflow.auth.existingSecret is empty": [
        "--set",
        "store.bundled.enabled=false,networkPolicy.storeCidrs={10.0.0.0/8}",
    ],
    "mlflow.ingress.host is empty": ["--set", "mlflow.ingress.enabled=true"],
    "mlflow.ingress.tlsSecret is empty": ["--set", "mlflow.ingress.enabled=true,mlflow.ingress.host=a.example.com"],
    "retention.homeClaim is empty": ["--set", "retention.enabled=true"],
    "priorityClasses.services must be above": ["--set", "priorityClasses.services=10000"],
    "priorityClasses.training must be above": ["--set", "priorityClasses.training=1000"],
}


@pytest.mark.parametrize("message", REFUSALS)
def test_what_would_fail_later_is_refused_in_words(message: str) -> None:
    done = helm.render("trial", *REFUSALS[message])
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        "mlflow.auth.defaultPermission=ALL",
        "store.bucket=A",
        "images.core.digest=latest",
        "database.bundled.size=ten",
        "mlflow.allowedHosts={*}",
        "networkPolicy.storeCidrs={all}",
    ],
)
def test_a_value_of_the_wrong_form_is_refused(wrong: str) -> None:
    done = helm.render("trial", "--set", wrong)
    assert done.returncode != 0
    assert wrong.partition("=")[0].rpartition(".")[2].partition("[")[0] in done.stderr


def test_the_defaults_install_nothing_by_accident() -> None:
    done = helm.run("template", "longrun", str(helm.CHART))
    assert done.returncode != 0
    assert "database.host is empty" in done.stderr


def test_training_comes_before_evaluation_and_services_before_both() -> None:
    for shape in helm.SHAPES:
        classes = helm.of_kind(shape, "PriorityClass")
        assert (
            classes["longrun-services"]["value"] > classes["longrun-training"]["value"] > classes["longrun-evaluation"]["value"]
        )
        policies = {name.removeprefix("longrun-"): priority["preemptionPolicy"] for name, priority in classes.items()}
        assert policies == {"services": "PreemptLowerPriority", "training": "Never", "evaluation": "Never"}
        assert not any(priority["globalDefault"] for priority in classes.values())


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_every_pod_has_a_priority_that_exists(shape: str) -> None:
    named = {pod["spec"].get("priorityClassName") for pod in helm.pod_templates(shape).values()}
    assert named - {None} <= set(helm.of_kind(shape, "PriorityClass"))


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_every_service_that_stays_up_has_a_disruption_budget(shape: str) -> None:
    budgets = [budget["spec"]["selector"]["matchLabels"] for budget in helm.of_kind(shape, "PodDisruptionBudget").values()]
    for name, pod in helm.pod_templates(shape).items():
        if name.startswith(("Deployment/", "StatefulSet/")):
            assert [b for b in budgets if b.items() <= pod["metadata"]["labels"].items()], name


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_the_namespace_has_a_quota_and_limits(shape: str) -> None:
    assert helm.of_kind(shape, "ResourceQuota")["longrun"]["spec"]["hard"]
    (limit,) = helm.of_kind(shape, "LimitRange")["longrun"]["spec"]["limits"]
    assert set(limit) == {"type", "default", "defaultRequest"}


def test_only_nodes_with_gpus_have_a_quota_of_them() -> None:
    hard = {shape: helm.of_kind(shape, "ResourceQuota")["longrun"]["spec"]["hard"] for shape in helm.SHAPES}
    assert hard["trial"]["requests.nvidia.com/gpu"] == "0"
    assert int(hard["gpu"]["requests.nvidia.com/gpu"]) > 0


def test_images_are_pinned_by_digest_or_by_a_version() -> None:
    for shape in helm.SHAPES:
        for pod in helm.pod_templates(shape).values():
            for container in pod["spec"]["containers"]:
                assert re.search(r"(@sha256:[0-9a-f]{64}|:[0-9][0-9a-z.-]*)$", container["image"]), container["image"]


def test_only_the_bundled_postgres_may_be_missing_when_a_release_is_upgraded() -> None:
    for shape, more in {"trial": ["bundled"], "production": [], "gpu": []}.items():
        (container,) = helm.pod_templates(shape)["Job/longrun-mlflow-migration"]["spec"]["containers"]
        assert container["args"][1:] == more


def test_a_digest_wins_over_a_tag() -> None:
    (container,) = helm.pod_templates("production")["Deployment/longrun-mlflow"]["spec"]["containers"]
    assert container["image"] == f"registry.example.com/longrun/tracking@sha256:{'1' * 64}"


def test_retention_calls_a_command_that_exists(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from workflows.cli.main import app

    (container,) = helm.pod_templates("production")["CronJob/longrun-retention"]["spec"]["containers"]
    program, *command = container["command"]
    arguments = [argument for argument in container["args"] if not argument.startswith("--keep")]
    assert program == "longrun"
    assert container["args"] != arguments
    done = CliRunner().invoke(app, [*command, *(a.replace("/home/longrun", str(tmp_path)) for a in arguments)])
    assert done.exit_code == 0, done.output
    assert "nothing to delete" in done.output


def test_monitoring_is_behind_a_switch() -> None:
    assert not helm.of_kind("trial", "ServiceMonitor", "PodMonitor")
    assert "longrun-dashboard" not in helm.of_kind("trial", "ConfigMap")
    assert set(helm.of_kind("production", "ServiceMonitor", "PodMonitor")) == {"longrun-mlflow", "longrun-ray"}
    for name in ("longrun-mlflow", "longrun-ray"):
        assert helm.of_kind("production", "ServiceMonitor", "PodMonitor")[name]["metadata"]["labels"]["release"] == "prometheus"


def test_the_service_monitor_finds_the_service_and_its_port() -> None:
    monitor = helm.of_kind("production", "ServiceMonitor")["longrun-mlflow"]["spec"]
    service = helm.of_kind("production", "Service")["longrun-mlflow"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]


def test_the_dashboard_is_whole_and_asks_ray_for_metrics_that_it_has() -> None:
    import ray.dashboard.modules.metrics.dashboards as shipped

    dashboard = json.loads(helm.of_kind("production", "ConfigMap")["longrun-dashboard"]["data"]["longrun.json"])
    asked = {
        name for panel in dashboard["panels"] for t in panel["targets"] for name in re.findall(r"\bray_[a-z_]+(?={)", t["expr"])
    }
    known = "".join(path.read_text() for path in Path(shipped.__file__).parent.glob("*.py"))
    assert len(asked) >= 6
    assert [name for name in asked if not re.search(rf"\b{name}\b", known)] == []


def test_the_notes_tell_the_next_commands() -> None:
    done = helm.run(
        "install", "longrun", str(helm.CHART), "--namespace", "longrun", "--dry-run=client", "--values", str(helm.values("trial"))
    )
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert "helm test longrun --namespace longrun" in notes
    assert "port-forward service/longrun-mlflow 5000" in notes
    assert "This is a trial" in notes
