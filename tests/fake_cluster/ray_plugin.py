"""Builds the RayJob that Flyte's Ray plugin creates for a serialised task, by the rules of flyteorg/flyte v2.0.43.

Read in flyteplugins/go/tasks/plugins/k8s/ray/ray.go (`BuildResource`, `constructRayJob`, `build…PodTemplate`) and
flyteplugins/go/tasks/pluginmachinery/flytek8s/pod_helper.go (`MergeOverlayPodSpecOntoBase`) at that tag. The rules:

- Head and workers both start from the task's own pod. Its primary container is renamed `ray-head` or `ray-worker`, loses its
  arguments, and gets variables, three ports and, for workers, a command before it is stopped.
- The group's own pod is laid over that. Texts and numbers of the group win where they are not empty; maps are merged key by
  key; **lists are appended**, so what stands in both is there twice.
- Containers are merged by name. A container of the group that the task's pod does not have is dropped without a word, and so
  is an init container.
- The job's command is the primary container's arguments, joined by blanks. Every pod has the configured service account.
- A submitter pod, with the head's image and fixed resources, exists in K8sJobMode alone.
- Usage statistics are off unless the configuration says otherwise; a version of Ray is not given, and neither is `backoffLimit`.
"""

import copy
from collections.abc import Mapping
from typing import Any

from tests.fake_cluster.flyte_pods import (
    MANAGED,
    Execution,
    Json,
    Settings,
    labels_of,
    object_metadata,
    pod_spec,
    settings_of_the_chart,
)

MAX_NAME = 47
"""Longest name of a RayJob: KubeRay's limit, which Flyte respects."""

_PORTS = {"redis": 6379, "head": 10001, "dashboard": 8265}
_SUBMITTER_RESOURCES = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "200Mi"}}


def ray_job(task: Json, execution: Execution | None = None, settings: Settings | None = None) -> Json:
    """The RayJob of a task from `serialise`, as it is sent to Kubernetes."""
    execution, settings = execution or Execution(), settings or settings_of_the_chart()
    metadata, spec, position = pod_spec(task, execution, settings)
    custom, ray = task["custom"], settings.ray
    spec["serviceAccountName"] = ray.get("serviceAccount", "default")
    base = (metadata, spec, position)
    head = _head(base, custom["rayCluster"].get("headGroupSpec", {}), execution, settings)
    workers = [_worker(base, group, execution, settings) for group in custom["rayCluster"].get("workerGroupSpec", [])]
    own = custom.get("shutdownAfterJobFinishes", False)
    ttl = custom.get("ttlSecondsAfterFinished", 0) if own else ray.get("ttlSecondsAfterFinished", 3600)
    mode = ray.get("submissionMode") or "K8sJobMode"
    job = {
        "entrypoint": " ".join(spec["containers"][position].get("args", [])),
        "shutdownAfterJobFinishes": own or ray.get("shutdownAfterJobFinishes", True),
        "ttlSecondsAfterFinished": int(ttl),
        "runtimeEnvYAML": custom.get("runtimeEnvYaml", ""),
        "submissionMode": mode,
        "rayClusterSpec": {
            "headGroupSpec": head,
            "workerGroupSpecs": workers,
            "enableInTreeAutoscaling": custom["rayCluster"].get("enableAutoscaling", False),
        },
    }
    if mode == "K8sJobMode":
        job["submitterPodTemplate"] = _submitter(head, execution)
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": metadata | object_metadata(metadata, execution, settings, MAX_NAME),
        "spec": job,
    }


def merged(base: Any, over: Any) -> Any:
    """mergo 0.3.16 with `WithOverride` and `WithAppendSlice`: `over` wins where it is not empty, lists are appended."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{name: merged(base[name], value) if name in base else value for name, value in over.items()}}
    if isinstance(base, list) and isinstance(over, list):
        return [*base, *over]
    return over or base


def overlaid(base: Json, group: Json) -> Json:
    """`MergeOverlayPodSpecOntoBase`: merges containers by name, only those that the base has."""
    result: Json = merged(base, group)
    for kind in ("containers", "initContainers"):
        over = {container["name"]: container for container in group.get(kind, [])}
        if kind in result:
            result[kind] = [merged(container, over.get(container["name"], {})) for container in base.get(kind, [])]
    return result


def _head(base: tuple[Json, Json, int], group: Json, execution: Execution, settings: Settings) -> Json:
    variables = [{"name": "MY_POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    defaults = {"disable-usage-stats": "true"}
    parameters = dict(
        group.get("rayStartParams") or settings.ray.get("defaults", {}).get("headNode", {}).get("startParameters", defaults)
    )
    parameters.setdefault("include-dashboard", str(settings.ray.get("includeDashboard", True)).lower())
    parameters.setdefault("node-ip-address", "$MY_POD_IP")
    parameters.setdefault("dashboard-host", settings.ray.get("dashboardHost", "0.0.0.0"))
    _without_statistics(parameters, settings)
    return {
        "template": _template(base, "ray-head", variables, group, execution),
        "serviceType": settings.ray.get("serviceType", "NodePort"),
        "enableIngress": True,
        "rayStartParams": parameters,
    }


def _worker(base: tuple[Json, Json, int], group: Json, execution: Execution, settings: Settings) -> Json:
    def resource(what: str) -> Json:
        return {"resourceFieldRef": {"containerName": "ray-worker", "resource": what}}

    variables = [
        {"name": "RAY_DISABLE_DOCKER_CPU_WARNING", "value": "1"},
        {"name": "TYPE", "value": "worker"},
        {"name": "CPU_REQUEST", "valueFrom": resource("requests.cpu")},
        {"name": "CPU_LIMITS", "valueFrom": resource("limits.cpu")},
        # of the processor indeed: so it stands in the plugin
        {"name": "MEMORY_REQUESTS", "valueFrom": resource("requests.cpu")},
        {"name": "MEMORY_LIMITS", "valueFrom": resource("limits.cpu")},
        {"name": "MY_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "MY_POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    parameters = dict(group.get("rayStartParams") or {"disable-usage-stats": "true"})
    parameters.setdefault("node-ip-address", "$MY_POD_IP")
    _without_statistics(parameters, settings)
    replicas = int(group.get("replicas", 0))
    return {
        "groupName": group["groupName"],
        "replicas": replicas,
        "minReplicas": min(int(group.get("minReplicas", 0)), replicas),
        "maxReplicas": max(int(group.get("maxReplicas", 0)), replicas),
        "rayStartParams": parameters,
        "template": _template(base, "ray-worker", variables, group, execution),
    }


def _template(base: tuple[Json, Json, int], name: str, variables: list[Json], group: Json, execution: Execution) -> Json:
    metadata, spec, position = copy.deepcopy(base)
    container = spec["containers"][position]
    container |= {"name": name, "args": []}
    quiet = [{"name": "RAY_COLOR_PREFIX", "value": "0"}, {"name": "RAY_DATA_DISABLE_PROGRESS_BARS", "value": "1"}]
    container["env"] = [*container["env"], *variables, *quiet]
    ports = [{"name": port, "containerPort": number} for port, number in _PORTS.items()]
    container["ports"] = [*container.get("ports", []), *ports]
    if name == "ray-worker":
        container["lifecycle"] = {"preStop": {"exec": {"command": ["/bin/sh", "-c", "ray stop"]}}}
    pod = copy.deepcopy(group.get("k8sPod", {}))
    own = pod.get("metadata", {})
    return {
        "metadata": {
            "labels": metadata["labels"] | labels_of(execution) | own.get("labels", {}) | MANAGED,
            "annotations": metadata["annotations"] | own.get("annotations", {}),
        },
        # the plugin sets the account last, over whatever the group's pod names
        "spec": overlaid(spec, pod.get("podSpec", {})) | {"serviceAccountName": spec["serviceAccountName"]},
    }


def _without_statistics(parameters: dict[str, str], settings: Settings) -> None:
    if not settings.ray.get("enableUsageStats", False):
        parameters.setdefault("disable-usage-stats", "true")


def _submitter(head: Json, execution: Execution) -> Json:
    image = head["template"]["spec"]["containers"][0]["image"]
    container = {"name": "ray-job-submitter", "image": image, "resources": _SUBMITTER_RESOURCES}
    return {
        "metadata": {"labels": labels_of(execution)},
        "spec": {"containers": [container], "restartPolicy": "Never", "enableServiceLinks": False},
    }
