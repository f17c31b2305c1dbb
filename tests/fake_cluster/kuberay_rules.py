"""Rules of KubeRay's operator beyond the schema: it marks a RayJob that breaks one as failed, with an event, and starts nothing.

By ray-project/kuberay v1.7.0, ray-operator/controllers/ray/utils/validation.go (`ValidateRayJobMetadata`, `ValidateRayJobSpec`,
`ValidateRayClusterSpec`), as far as the fields that Flyte sets go.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

Json = dict[str, Any]

MAX_RAY_JOB_NAME = 47
"""`MaxRayJobNameLength`: a cluster's name has six characters more, and its services are labels."""

_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_RAY_RESOURCES = {"num-cpus", "num-gpus", "memory", "resources"}


def refusals(job: Json) -> Iterator[str]:
    """Every rule that the RayJob breaks, in the operator's order."""
    name, spec = job["metadata"]["name"], job["spec"]
    if len(name) > MAX_RAY_JOB_NAME:
        yield f"RayJob name should be no more than {MAX_RAY_JOB_NAME} characters"
    if not _DNS_1035.fullmatch(name):
        yield f"RayJob name should be a valid DNS1035 label: {name}"
    yield from _of_the_job(spec)
    if cluster := spec.get("rayClusterSpec"):
        yield from _of_the_cluster(cluster, job["metadata"].get("annotations", {}))
    try:
        environment = yaml.safe_load(spec.get("runtimeEnvYAML") or "{}")
    except yaml.YAMLError as error:
        environment = str(error)
    if not isinstance(environment, dict):
        yield f"runtimeEnvYAML is no mapping: {environment}"


def templates(cluster: Json) -> Iterator[tuple[str, Json]]:
    """Name and pod template of the head and of each group of workers."""
    if head := cluster.get("headGroupSpec"):
        yield "head", head["template"]
    for group in cluster.get("workerGroupSpecs", []):
        yield group["groupName"], group["template"]


def _of_the_job(spec: Json) -> Iterator[str]:
    shutdown, ttl = spec.get("shutdownAfterJobFinishes", False), spec.get("ttlSecondsAfterFinished", 0)
    if ttl < 0:
        yield "TTLSecondsAfterFinished must be a non-negative integer"
    if ttl > 0 and not shutdown:
        yield "a RayJob with shutdownAfterJobFinishes set to false cannot have TTLSecondsAfterFinished"
    if spec.get("suspend") and not shutdown:
        yield "a RayJob with shutdownAfterJobFinishes set to false is not allowed to be suspended"
    if not spec.get("rayClusterSpec") and not spec.get("clusterSelector"):
        yield "one of RayClusterSpec or ClusterSelector must be set"
    for name in ("activeDeadlineSeconds", "preRunningDeadlineSeconds"):
        if name in spec and spec[name] <= 0:
            yield f"{name} must be a positive integer"
    if spec.get("backoffLimit", 0) < 0:
        yield "backoffLimit must be a positive integer"
    if spec.get("submissionMode") == "SidecarMode" and "submitterPodTemplate" in spec:
        yield "SidecarMode doesn't support SubmitterPodTemplate"


def _of_the_cluster(cluster: Json, annotations: Json) -> Iterator[str]:
    scaling = cluster.get("enableInTreeAutoscaling", False)
    for group, template in templates(cluster):
        if not template["spec"].get("containers"):
            yield f"{group} should have at least one container"
    head = cluster["headGroupSpec"]
    yield from _resources("Head", head)
    for group in cluster.get("workerGroupSpecs", []):
        yield from _replicas(group, scaling=scaling)
        yield from _resources(group["groupName"], group)
        if group.get("suspend"):
            yield f"worker group {group['groupName']} can be suspended only when the RayJobDeletionPolicy feature gate is enabled"
        if group.get("priority"):
            yield f"worker group {group['groupName']}: priority is set, but RayVersion was not specified"
    names = {variable["name"]: variable.get("value") for variable in head["template"]["spec"]["containers"][0].get("env", [])}
    tolerant = cluster.get("gcsFaultToleranceOptions") or annotations.get("ray.io/ft-enabled")
    if "RAY_REDIS_ADDRESS" in names and not tolerant:
        yield "RAY_REDIS_ADDRESS is set which implicitly enables GCS fault tolerance, but GcsFaultToleranceOptions is not set"
    if "REDIS_USERNAME" in names or head["rayStartParams"].get("redis-username"):
        yield "cannot set redis username in rayStartParams or environment variables"
    if not scaling and names.get("RAY_enable_autoscaler_v2") in {"1", "true"}:
        yield "RAY_enable_autoscaler_v2 cannot be set when enableInTreeAutoscaling is false"
    for gated in ("networkPolicy", "tlsOptions", "historyServerOptions"):
        if cluster.get(gated):
            yield f"spec.{gated} requires a feature gate to be enabled"


def _replicas(group: Json, *, scaling: bool) -> Iterator[str]:
    smallest, largest = group.get("minReplicas"), group.get("maxReplicas")
    if not scaling and (smallest is None or largest is None):
        yield f"worker group {group['groupName']} must set both minReplicas and maxReplicas when autoscaling is disabled"
    for name, count in (("minReplicas", smallest), ("maxReplicas", largest)):
        if count is not None and count < 0:
            yield f"worker group {group['groupName']} has negative {name} {count}"
    if smallest is not None and largest is not None and smallest > largest:
        yield f"worker group {group['groupName']} has minReplicas {smallest} greater than maxReplicas {largest}"


def _resources(name: str, group: Json) -> Iterator[str]:
    parameters = group.get("rayStartParams", {})
    if group.get("resources") and _RAY_RESOURCES & set(parameters):
        yield f"resource fields should not be set in both rayStartParams and Resources for {name} group"
    if "labels" in parameters:
        yield f"rayStartParams['labels'] is not supported for {name} group"
