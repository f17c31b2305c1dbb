"""The values for the charts of KubeRay and Flyte: their keys exist, versions come from one place, rights and names fit ours."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.cluster import helm as releases
from tests.charts import helm, operators
from tests.charts.operators import CHARTS, OPERATORS, defaults, own_values
from tests.infra.conftest import sample_profile

BESIDE_THE_DEFAULTS = {
    "flyte": {
        # written there as a comment, and read by templates/deployment.yaml
        "deployment.resources",
        # the condition of a dependency, in Chart.yaml
        "flyteconnector",
        # a map from any task type to a plugin
        "enabled_plugins.tasks.task-plugins.default-for-task-types.ray",
        # handed on whole as the pod's security context
        "deployment.podSecurityContext.runAsNonRoot",
        "deployment.podSecurityContext.seccompProfile",
    },
    # written there as a comment
    "kuberay": {"resources.requests"},
}


def unknown(values: dict[str, Any], defaults: dict[str, Any], above: str = "") -> Iterator[str]:
    """Keys of `values` that the chart's own defaults do not have; below an empty map everything is allowed."""
    for key, value in values.items():
        if key not in defaults:
            yield f"{above}{key}"
        elif isinstance(value, dict) and defaults[key]:
            yield from unknown(value, defaults[key], f"{above}{key}.")


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_key_exists_in_the_chart_s_own_defaults(operator: str) -> None:
    assert set(unknown(own_values(operator), defaults(operator))) == BESIDE_THE_DEFAULTS[operator]


def test_a_misspelt_key_is_found() -> None:
    assert list(unknown({"a": {"c": 1}, "d": {"x": 1}}, {"a": {"b": 0}, "d": {}})) == ["a.c"]


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_operator_s_images_have_the_version_that_is_installed(operator: str) -> None:
    own = {image["tag"] for _, image in operators.images(own_values(operator)) if "operator" in image["repository"]}
    own |= {image["tag"] for _, image in operators.images(own_values(operator)) if "flyte-binary" in image["repository"]}
    assert own == {OPERATORS[operator]["images"]}


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_image_is_latest_whatever_that_is(operator: str) -> None:
    tags = [image["tag"] for _, image in operators.images(own_values(operator))]
    assert [tag for tag in tags if not re.search(r"^v?\d|-v\d|@sha256:[0-9a-f]{64}$", tag)] == []


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_image_of_the_chart_is_named_and_pinned_here(operator: str) -> None:
    here = {path for path, image in operators.images(own_values(operator)) if {"repository", "tag"} <= set(image)}
    assert here - {f"{operators.SUBCHART}.image"} == {path for path, _ in operators.images(defaults(operator))}


MIRROR = "registry.internal:5000/mirror"


def _in_the_mirror(operator: str) -> Iterator[str]:
    """A setting for each repository that our values name."""
    for path, image in operators.images(own_values(operator)):
        yield f"{path}.repository={MIRROR}/{image['repository'].partition('/')[2]}"


def test_with_every_named_repository_in_a_mirror_no_pod_pulls_from_elsewhere() -> None:
    known = {operator: operators.set_to(operator, *_in_the_mirror(operator)) for operator in OPERATORS}
    pulled = [container["image"] for pod in operators.pods(known).values() for container in helm.containers(pod)]
    assert len(pulled) == 4
    assert [image for image in pulled if not image.startswith(f"{MIRROR}/")] == []


def test_a_digest_behind_the_tag_reaches_the_pod() -> None:
    known = operators.set_to("kuberay", f"image.tag=v1.7.0@sha256:{'a' * 64}")
    (container,) = operators.pods({"kuberay": known})["kuberay-operator"]["spec"]["containers"]
    assert container["image"] == f"quay.io/kuberay/operator:v1.7.0@sha256:{'a' * 64}"


def test_what_moves_runs_has_the_class_of_the_services() -> None:
    given = {name: pod["spec"].get("priorityClassName") for name, pod in operators.pods().items()}
    assert given == {"kuberay-operator": "longrun-services", "flyte": "longrun-services", "flyte-console": None}


def test_a_connector_that_is_switched_on_has_the_class_of_the_services_too() -> None:
    known = operators.set_to("flyte", f"{operators.SUBCHART}.enabled=true")
    assert operators.pods({"flyte": known})[operators.SUBCHART]["spec"]["priorityClassName"] == "longrun-services"


def test_the_class_of_the_operators_is_there_before_they_are() -> None:
    planned = [release.name for release in releases.releases(sample_profile(), releases.Sources(values=["trial"]))]
    users = [name for name, pod in operators.pods().items() if pod["spec"].get("priorityClassName") == "longrun-services"]
    assert users
    assert planned[0] == "longrun"
    assert "longrun-services" in helm.of_kind("trial", "PriorityClass")


def test_flyte_sends_no_errors_and_no_counts_to_anybody() -> None:
    (service,) = operators.pods()["flyte"]["spec"]["containers"]
    assert {"name": "FLYTE_DISABLE_SENTRY", "value": "true"} in service["env"]


def test_what_flyte_keeps_of_a_finished_step_goes_after_a_time() -> None:
    inline = own_values("flyte")["configuration"]["inline"]
    assert set(inline["executor"]["gc"]) == {"interval", "maxTTL"}
    assert "disable-inject-owner-references" not in inline["plugins"]["k8s"]
    assert all(re.fullmatch(r"[1-9]\d*[smh]", duration) for duration in inline["executor"]["gc"].values())


def test_flyte_leaves_no_admission_behind_that_refuses_pods() -> None:
    assert own_values("flyte")["configuration"]["inline"]["webhook"] == {"disableCreateMutatingWebhookConfig": True}


def test_the_ray_plugin_is_on_and_may_handle_ray_jobs_and_nothing_else() -> None:
    values = own_values("flyte")
    assert values["enabled_plugins"]["tasks"]["task-plugins"]["default-for-task-types"] == {"ray": "ray"}
    (rule,) = values["rbac"]["extraRules"]
    assert (rule["apiGroups"], rule["resources"]) == (["ray.io"], ["rayjobs"])
    assert "*" not in rule["verbs"]


def test_kuberay_has_rights_in_its_namespace_only() -> None:
    assert own_values("kuberay")["singleNamespaceInstall"] is True


def test_flyte_finds_what_the_trial_calls_by_these_names() -> None:
    values, services = own_values("flyte"), helm.of_kind("trial", "Service")
    secrets = helm.of_kind("trial", "Secret")
    (postgres,) = helm.pod_templates("trial")["StatefulSet/longrun-postgres"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in postgres["env"]}
    database = values["configuration"]["database"]["postgres"]
    assert database["host"] in services
    assert database["username"] == environment["POSTGRES_USER"]
    assert f"CREATE DATABASE {database['dbname']};" in helm.of_kind("trial", "ConfigMap")["longrun-postgres"]["data"]["flyte.sql"]
    (volume,) = values["deployment"]["extraVolumes"]
    (mount,) = values["deployment"]["extraVolumeMounts"]
    (item,) = volume["secret"]["items"]
    assert item["key"] in secrets[volume["secret"]["secretName"]]["data"]
    assert database["passwordPath"] == f"{mount['mountPath']}/{item['path']}"
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(secrets[values["deployment"]["extraEnvVarsSecret"]]["data"])
    assert values["deployment"]["extraPodSpec"]["priorityClassName"] in helm.of_kind("trial", "PriorityClass")
    assert values["configuration"]["inline"]["plugins"]["ray"]["serviceAccount"] in helm.of_kind("trial", "ServiceAccount")


def test_flyte_and_the_chart_name_the_same_store() -> None:
    storage = own_values("flyte")["configuration"]["storage"]
    (store,) = helm.pod_templates("trial")["StatefulSet/longrun-store"]["spec"]["containers"]
    bucket = {entry["name"]: entry.get("value") for entry in store["env"]}["S3_BUCKET"]
    assert storage["metadataContainer"] == bucket
    (port,) = helm.of_kind("trial", "Service")["longrun-store"]["spec"]["ports"]
    assert storage["providerConfig"]["s3"]["endpoint"] == f"http://longrun-store:{port['port']}"


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_secret_stands_in_the_values(operator: str) -> None:
    text = (CHARTS / Path(OPERATORS[operator]["values"])).read_text()
    assert not re.search(r"^\s*(password|secretKey|accessKey):", text, re.MULTILINE)
