"""Restricted Pod Security, least rights, closed networks and no secret in the open, in every shape."""

import base64
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.charts import helm
from workflows.commands.cluster.doctor import RIGHTS, WIDE_RIGHTS

PODS = [pytest.param(shape, name, id=f"{shape}-{name}") for shape in helm.SHAPES for name in helm.pod_templates(shape)]


def violations(spec: Mapping[str, Any]) -> list[str]:
    """What the pod standard `restricted` refuses, and what we ask for beyond it.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    pod = spec.get("securityContext", {})
    problems = [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    problems += [f"volume {sorted(set(v) - {'name'})}" for v in spec.get("volumes", []) if not _allowed_volume(v)]
    if spec.get("automountServiceAccountToken") is not False:
        problems.append("token of the service account")
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = {**{k: pod.get(k) for k in ("runAsNonRoot", "runAsUser", "seccompProfile")}, **container.get("securityContext", {})}
        checks = {
            "runAsNonRoot": own["runAsNonRoot"] is True and bool(own["runAsUser"]),
            "seccompProfile": own["seccompProfile"] == {"type": "RuntimeDefault"},
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
            "privileged": not own.get("privileged"),
            "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
            "limits": {"cpu", "memory"} <= set(container.get("resources", {}).get("limits", {})),
            "requests": {"cpu", "memory"} <= set(container.get("resources", {}).get("requests", {})),
        }
        problems += [f"{container['name']}: {check}" for check, holds in checks.items() if not holds]
    return problems


def _allowed_volume(volume: Mapping[str, Any]) -> bool:
    """Only bounded scratch, configuration and claims."""
    return bool(set(volume) & {"configMap", "secret", "persistentVolumeClaim"}) or "sizeLimit" in volume.get("emptyDir", {})


@pytest.mark.parametrize(("shape", "name"), PODS)
def test_every_pod_is_restricted(shape: str, name: str) -> None:
    assert violations(helm.pod_templates(shape)[name]["spec"]) == []


LOOSENED = {
    "token of the service account": {"automountServiceAccountToken": True},
    "hostNetwork": {"hostNetwork": True},
    "volume ['hostPath']": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    "volume ['emptyDir']": {"volumes": [{"name": "v", "emptyDir": {}}]},
    "mlflow: seccompProfile": {"securityContext": {"runAsNonRoot": True, "runAsUser": 1000}},
    "mlflow: runAsNonRoot": {"securityContext": {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}},
}


@pytest.mark.parametrize("violation", LOOSENED)
def test_a_loosened_pod_is_found(violation: str) -> None:
    spec = helm.pod_templates("trial")["Deployment/longrun-mlflow"]["spec"]
    assert violation in violations({**spec, **LOOSENED[violation]})


@pytest.mark.parametrize("field", ["allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"])
def test_a_loosened_container_is_found(field: str) -> None:
    spec = helm.pod_templates("trial")["Deployment/longrun-mlflow"]["spec"]
    (container,) = spec["containers"]
    without = {name: value for name, value in container["securityContext"].items() if name != field}
    assert violations({**spec, "containers": [{**container, "securityContext": without}]}) == [f"mlflow: {field}"]


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_everything_that_is_written_to_is_a_volume(shape: str) -> None:
    for pod in helm.pod_templates(shape).values():
        names = {volume["name"] for volume in pod["spec"].get("volumes", [])} | {"data"}
        mounted = {mount["name"] for container in pod["spec"]["containers"] for mount in container.get("volumeMounts", [])}
        assert mounted <= names


READING = {"get", "list", "watch"}
ROLE = {
    ("ray.io", "rayjobs"),
    ("ray.io", "rayclusters"),
    ("", "pods"),
    ("", "pods/log"),
    ("", "events"),
    ("", "services"),
    ("", "serviceaccounts"),
    ("", "persistentvolumeclaims"),
    ("", "resourcequotas"),
}
CLUSTER_ROLE = {("", "nodes"), ("storage.k8s.io", "storageclasses"), ("apiextensions.k8s.io", "customresourcedefinitions")}


def _rules(role: helm.Document) -> list[tuple[str, str, helm.Document]]:
    return [(group, resource, rule) for rule in role["rules"] for group in rule["apiGroups"] for resource in rule["resources"]]


def _rights(role: helm.Document) -> set[tuple[str, str]]:
    return {(group, resource) for group, resource, _ in _rules(role)}


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_the_chart_gives_the_right_to_look_and_no_other(shape: str) -> None:
    roles = helm.of_kind(shape, "Role", "ClusterRole")
    assert {name: _rights(role) for name, role in roles.items()} == {
        "longrun-observer": ROLE,
        "longrun-longrun-observer": CLUSTER_ROLE,
    }
    assert {verb for role in roles.values() for rule in role["rules"] for verb in rule["verbs"]} <= READING


def test_an_observer_may_ask_all_that_the_examination_of_a_cluster_asks() -> None:
    roles = helm.of_kind("trial", "Role", "ClusterRole")
    for role, asked in (("longrun-observer", RIGHTS), ("longrun-longrun-observer", WIDE_RIGHTS)):
        given = {(verb, group, resource) for group, resource, rule in _rules(roles[role]) for verb in rule["verbs"]}
        wanted = {(verb, group, "/".join(filter(None, (resource, sub)))) for verb, resource, group, sub in asked}
        assert wanted - given == set()


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_only_observers_are_bound(shape: str) -> None:
    accounts = {
        subject["name"]
        for binding in helm.of_kind(shape, "RoleBinding", "ClusterRoleBinding").values()
        for subject in binding["subjects"]
        if subject["kind"] == "ServiceAccount"
    }
    assert accounts == {"longrun-observer"}
    assert "longrun-observer" not in {pod["spec"].get("serviceAccountName") for pod in helm.pod_templates(shape).values()}


def test_nothing_is_given_in_the_cluster_where_that_is_switched_off() -> None:
    kinds = {document["kind"] for document in helm.documents("trial", "--set", "observers.clusterScope=false")}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_service_accounts_exist_and_have_no_token(shape: str) -> None:
    accounts = helm.of_kind(shape, "ServiceAccount")
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    assert {pod["spec"]["serviceAccountName"] for pod in helm.pod_templates(shape).values()} <= set(accounts)


def test_a_cloud_s_identity_reaches_the_accounts_that_read_the_store() -> None:
    accounts = helm.of_kind("production", "ServiceAccount")
    annotated = {name for name, account in accounts.items() if "annotations" in account["metadata"]}
    assert annotated == {"longrun-mlflow", "longrun-tasks"}


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_secrets_are_made_up_in_a_trial_only(shape: str) -> None:
    expected = {"longrun-mlflow", "longrun-postgres", "longrun-store"} if shape == "trial" else set()
    assert set(helm.of_kind(shape, "Secret")) == expected


def test_made_up_secrets_differ_every_time_and_survive_uninstalling() -> None:
    once = helm.of_kind("trial", "Secret")
    again = {d["metadata"]["name"]: d for d in yaml.safe_load_all(helm.render("trial").stdout) if d and d["kind"] == "Secret"}
    for name, secret in once.items():
        assert secret["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        for key in secret["data"].keys() - {"username"}:
            assert len(base64.b64decode(secret["data"][key])) >= 20
            assert secret["data"][key] != again[name]["data"][key]


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_no_secret_value_stands_outside_its_secret(shape: str) -> None:
    secrets = [
        value for secret in helm.of_kind(shape, "Secret").values() for key, value in secret["data"].items() if key != "username"
    ]
    planted = [text for value in secrets for text in (value, base64.b64decode(value).decode())]
    rest = yaml.safe_dump([document for document in helm.documents(shape) if document["kind"] != "Secret"])
    assert [text for text in planted if text in rest] == []


SECRETIVE = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|USERNAME|TOKEN", re.IGNORECASE)


@pytest.mark.parametrize(("shape", "name"), PODS)
def test_credentials_reach_a_pod_by_reference_only(shape: str, name: str) -> None:
    for container in helm.pod_templates(shape)[name]["spec"]["containers"]:
        for entry in container.get("env", []):
            if SECRETIVE.search(entry["name"]):
                assert set(entry["valueFrom"]) == {"secretKeyRef"}, entry["name"]
        assert not re.search(r"://[^@/\s]+:[^@/\s]+@", " ".join(container.get("args", [])))


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_configuration_holds_no_password(shape: str) -> None:
    for configuration in helm.of_kind(shape, "ConfigMap").values():
        for text in configuration["data"].values():
            assert not re.search(r"^\s*(admin_)?password\s*=", text, re.MULTILINE)
            assert not re.search(r"://[^@/\s\"]+:[^@/\s\"]+@", text)
