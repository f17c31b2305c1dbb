"""The values for the charts of KubeRay and Flyte: their keys exist, versions come from one place, rights and names fit ours."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts import helm
from tests.paths import SCHEMAS

CHARTS = helm.ROOT / "charts"
OPERATORS: dict[str, dict[str, str]] = yaml.safe_load((CHARTS / "operators.yaml").read_text())

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


def _values(operator: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CHARTS / OPERATORS[operator]["values"]).read_text())
    return loaded


def unknown(values: dict[str, Any], defaults: dict[str, Any], above: str = "") -> Iterator[str]:
    """Keys of `values` that the chart's own defaults do not have; below an empty map everything is allowed."""
    for key, value in values.items():
        if key not in defaults:
            yield f"{above}{key}"
        elif isinstance(value, dict) and defaults[key]:
            yield from unknown(value, defaults[key], f"{above}{key}.")


def _defaults(operator: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((SCHEMAS / f"{OPERATORS[operator]['chart']}.yaml").read_text())
    return loaded


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_key_exists_in_the_chart_s_own_defaults(operator: str) -> None:
    assert set(unknown(_values(operator), _defaults(operator))) == BESIDE_THE_DEFAULTS[operator]


def test_a_misspelt_key_is_found() -> None:
    assert list(unknown({"a": {"c": 1}, "d": {"x": 1}}, {"a": {"b": 0}, "d": {}})) == ["a.c"]


def _tags(values: object) -> Iterator[tuple[str, str]]:
    if isinstance(values, dict):
        if "tag" in values:
            yield values.get("repository", "the chart's own"), values["tag"]
        for below in values.values():
            yield from _tags(below)


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_operator_s_images_have_the_version_that_is_installed(operator: str) -> None:
    own = {tag for repository, tag in _tags(_values(operator)) if repository == "the chart's own" and "@sha256:" not in tag}
    assert own == {OPERATORS[operator]["images"]}


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_image_is_latest_whatever_that_is(operator: str) -> None:
    assert [tag for _, tag in _tags(_values(operator)) if not re.search(r"\d|@sha256:[0-9a-f]{64}$", tag)] == []


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_image_of_the_chart_is_pinned_here(operator: str) -> None:
    assert set(_images(_values(operator))) == set(_images(_defaults(operator)))


def _images(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            if key == "image":
                yield f"{above}{key}"
            yield from _images(value, f"{above}{key}.")


def test_the_ray_plugin_is_on_and_may_handle_ray_jobs_and_nothing_else() -> None:
    values = _values("flyte")
    assert values["enabled_plugins"]["tasks"]["task-plugins"]["default-for-task-types"] == {"ray": "ray"}
    (rule,) = values["rbac"]["extraRules"]
    assert (rule["apiGroups"], rule["resources"]) == (["ray.io"], ["rayjobs"])
    assert "*" not in rule["verbs"]


def test_kuberay_has_rights_in_its_namespace_only() -> None:
    assert _values("kuberay")["singleNamespaceInstall"] is True


def test_flyte_finds_what_the_trial_calls_by_these_names() -> None:
    values, services = _values("flyte"), helm.of_kind("trial", "Service")
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
    storage = _values("flyte")["configuration"]["storage"]
    (store,) = helm.pod_templates("trial")["StatefulSet/longrun-store"]["spec"]["containers"]
    bucket = {entry["name"]: entry.get("value") for entry in store["env"]}["S3_BUCKET"]
    assert storage["metadataContainer"] == bucket
    (port,) = helm.of_kind("trial", "Service")["longrun-store"]["spec"]["ports"]
    assert storage["providerConfig"]["s3"]["endpoint"] == f"http://longrun-store:{port['port']}"


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_secret_stands_in_the_values(operator: str) -> None:
    text = (CHARTS / Path(OPERATORS[operator]["values"])).read_text()
    assert not re.search(r"^\s*(password|secretKey|accessKey):", text, re.MULTILINE)
