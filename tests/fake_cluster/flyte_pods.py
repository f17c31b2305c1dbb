"""Builds the pod that Flyte creates for a serialised task, by the rules of flyteorg/flyte v2.0.43.

Read in flyteplugins/go/tasks/pluginmachinery/flytek8s (`pod_helper.go`, `container_helper.go`, `k8s_resource_adds.go`) and
executor/pkg/plugin (`task_exec_metadata.go`, `k8s/plugin_manager.go`) at that tag. The rules:

- The task's `k8sPod` is taken as it is; the container named by `primary_container_name` is the primary one.
- Every container gets the variables of the execution and those of the plugin's configuration, appended to what is there.
- A request without a limit gets it as its limit and the other way round; a container without either gets 1 core and 1 GiB.
- What the pod does not say comes from the configuration: security contexts (whole, not field by field), tolerations before
  its own, affinity. `restartPolicy` is Never, service links are off.
- Labels say run, action, attempt and task; annotations forbid the autoscaler to evict the pod.
- The name is RUN-ACTION-RETRY, hashed where it is longer than the plugin allows.
"""

import copy
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.paths import ROOT

Json = dict[str, Any]

MANAGED = {"flyte.org/managed": "true"}
"""`ManagedLabelKey`: without it the executor does not see a pod."""

_SAFE_TO_EVICT = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
_DEFAULT_REQUESTS = {"cpu": "1", "memory": "1Gi"}


@dataclass(frozen=True)
class Settings:
    """The sections `k8s` and `ray` of Flyte's plugin configuration."""

    k8s: Mapping[str, Any] = field(default_factory=dict)
    ray: Mapping[str, Any] = field(default_factory=dict)


@functools.cache
def settings_of_the_chart() -> Settings:
    """What `charts/values/flyte.yaml` configures."""
    values = yaml.safe_load((ROOT / "charts" / "values" / "flyte.yaml").read_text(encoding="utf-8"))
    plugins = values["configuration"]["inline"]["plugins"]
    return Settings(plugins["k8s"], plugins["ray"])


@dataclass(frozen=True)
class Execution:
    """Flyte's data about one attempt of an action."""

    run: str = "r7xk2mvq9bp4tz6w8hcn"
    action: str = "47g46j4hcx8z0kq1vbn3d5wty"
    """A hash, unless the action is the root `a0`: the API has no other name for it."""
    retry: int = 0
    namespace: str = "longrun"
    variables: Mapping[str, str] = field(default_factory=dict)
    """Labels of the run."""

    @property
    def name(self) -> str:
        return f"{self.run}-{self.action}-{self.retry}"

    def bounded_name(self, max_length: int) -> str:
        """`FixedLengthUniqueID`: a name that is too long is replaced by a hash, which starts with a letter."""
        return self.name if len(self.name) <= max_length else "f" + _base32(_fnv32a(self.name.encode()))


def pod_of(task: Json, execution: Execution | None = None, settings: Settings | None = None) -> Json:
    """The Pod, as sent to Kubernetes, of a task without a plugin of its own."""
    execution, settings = execution or Execution(), settings or settings_of_the_chart()
    metadata, spec, _ = pod_spec(task, execution, settings)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata | object_metadata(metadata, execution, settings),
        "spec": spec,
    }


def pod_spec(task: Json, execution: Execution, settings: Settings) -> tuple[Json, Json, int]:
    """`ToK8sPodSpec`: metadata and spec of the task's pod, and the index of its primary container."""
    pod = copy.deepcopy(task["k8sPod"])
    spec, k8s = pod["podSpec"], settings.k8s
    primary = task["config"]["primary_container_name"]
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        container["env"] = [*container.get("env", []), *_variables(task, execution, k8s)]
        if container["name"] == primary:
            container["resources"] = _whole(container.get("resources", {}))
    position = next(index for index, container in enumerate(spec["containers"]) if container["name"] == primary)
    spec["enableServiceLinks"] = False
    spec.setdefault("restartPolicy", "Never")
    tolerations = [*k8s.get("default-tolerations", []), *spec.get("tolerations", [])]
    defaults = {
        "serviceAccountName": None,
        "schedulerName": k8s.get("scheduler-name"),
        "securityContext": k8s.get("default-pod-security-context"),
        "affinity": k8s.get("default-affinity") or {},
        "tolerations": tolerations or None,
    }
    for name, value in defaults.items():
        if value is not None and not (spec.get(name) and name != "tolerations"):
            spec[name] = copy.deepcopy(value)
    if context := k8s.get("default-security-context"):
        spec["containers"][position].setdefault("securityContext", copy.deepcopy(context))
    metadata = pod.get("metadata", {})
    return {"labels": metadata.get("labels", {}), "annotations": metadata.get("annotations", {})}, spec, position


def object_metadata(metadata: Json, execution: Execution, settings: Settings, max_length: int = 253) -> Json:
    """`addObjectMetadata`: name, namespace, labels and owner of a created object."""
    owner = {"apiVersion": "flyte.org/v1", "kind": "TaskAction", "name": f"{execution.run}-{execution.action}"}
    return {
        "name": execution.bounded_name(max_length),
        "namespace": execution.namespace,
        "labels": metadata.get("labels", {}) | labels_of(execution),
        "annotations": annotations_of(settings) | metadata.get("annotations", {}),
        "ownerReferences": [owner | {"uid": "00000000-0000-0000-0000-000000000001", "controller": True}],
    }


def labels_of(execution: Execution) -> dict[str, str]:
    """Labels of an execution: those of its TaskAction, and those that identify what the pod belongs to."""
    root = execution.action == "a0"
    return {
        "flyte.org/project": "longrun",
        "flyte.org/domain": "development",
        "flyte.org/run": execution.run,
        "flyte.org/action": execution.action,
        "flyte.org/action-type": "task",
        "flyte.org/is-root": str(root).lower(),
        "organization": "flyte",
        "project": "longrun",
        "domain": "development",
        "run": execution.run,
        "action": execution.action,
        "attempt": str(execution.retry + 1),
        **MANAGED,
    }


def annotations_of(settings: Settings) -> dict[str, str]:
    return dict(settings.k8s.get("default-annotations", _SAFE_TO_EVICT))


def _variables(task: Json, execution: Execution, k8s: Mapping[str, Any]) -> list[Json]:
    """`DecorateEnvVars`: appended to a container's variables, not merged with them."""
    identity = task["id"]
    named = {
        "FLYTE_INTERNAL_EXECUTION_ID": execution.run,
        "FLYTE_INTERNAL_EXECUTION_PROJECT": identity["project"],
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": identity["domain"],
        "FLYTE_ATTEMPT_NUMBER": str(execution.retry),
        **{f"FLYTE_INTERNAL_TASK_{key.upper()}": identity[key] for key in ("project", "domain", "name", "version")},
        **{f"FLYTE_INTERNAL_{key.upper()}": identity[key] for key in ("project", "domain", "name", "version")},
        "ACTION_NAME": execution.action,
        "RUN_NAME": execution.run,
        "_U_RUN_BASE": f"s3://longrun/flyte/{execution.run}",
        "_U_ORG_NAME": "local",
    }
    own = [{"name": name, "value": value} for name, value in named.items()]
    own += [{"name": name, "value": value} for name, value in execution.variables.items() if name not in named]
    own += [{"name": "_F_PN", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    configured = k8s.get("default-env-vars", {})
    # Flyte takes them as a map, or as a list of maps of one entry
    pairs = configured.items() if isinstance(configured, Mapping) else (pair for entry in configured for pair in entry.items())
    return own + [{"name": name, "value": str(value)} for name, value in pairs]


def _whole(resources: Json) -> Json:
    """`ApplyResourceOverrides` of a primary container: requests and limits fill each other, then come defaults."""
    requests, limits = dict(resources.get("requests", {})), dict(resources.get("limits", {}))
    for name in {*_DEFAULT_REQUESTS, *requests, *limits}:
        requests.setdefault(name, limits.get(name) or _DEFAULT_REQUESTS.get(name))
        limits.setdefault(name, requests[name])
    return {**resources, "requests": requests, "limits": limits}


def _fnv32a(data: bytes) -> bytes:
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value.to_bytes(4, "big")


def _base32(data: bytes) -> str:
    alphabet, bits = "abcdefghijklmnopqrstuvwxyz123456", int.from_bytes(data, "big") << 3
    return "".join(alphabet[bits >> shift & 31] for shift in range(30, -1, -5))
