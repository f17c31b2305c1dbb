"""Builds the pods that KubeRay creates for a RayJob's cluster, by the rules of ray-project/kuberay v1.7.0.

Read in ray-operator/controllers/ray/common/pod.go (`DefaultHeadPodTemplate`, `DefaultWorkerPodTemplate`, `BuildPod`,
`initLivenessAndReadinessProbe`) at that tag. The rules:

- Workers get an init container that waits for the head, with the worker's image, security context, variables and mounts.
- The first container is Ray's: its command becomes `ray start …`; a port for metrics is added where none has that name.
- `/dev/shm` is a volume in memory where nothing is mounted there.
- Probes are added where the container has none: HTTP where the cluster says a Ray of 2.53 or newer, which Flyte never does;
  otherwise `wget … | grep success` in a shell, for which the image must have wget.
- `no-monitor`, autoscaling, TLS and tokens are left out: Flyte's plugin asks for none of them.
"""

import copy
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

AGENT_PORT = 52365
"""Port of Ray's agent on each node, which serves /api/local_raylet_healthz (`DefaultDashboardAgentListenPort`)."""

_WAIT = {"cpu": "200m", "memory": "256Mi"}
_WGET = "wget --tries 1 -T {timeout} -q -O- http://localhost:{port}/{path} | grep success"


def ray_cluster(job: Json, suffix: str = "x7k2m") -> Json:
    """The RayCluster of a RayJob."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {
            "name": f"{job['metadata']['name']}-{suffix}",
            "namespace": job["metadata"]["namespace"],
            "labels": {
                "ray.io/originated-from-cr-name": job["metadata"]["name"],
                "ray.io/originated-from-crd": "RayJob",
                "ray.io/job-submission-mode": job["spec"].get("submissionMode", "K8sJobMode"),
            },
            "ownerReferences": [owner("ray.io/v1", "RayJob", job["metadata"]["name"])],
        },
        "spec": copy.deepcopy(job["spec"]["rayClusterSpec"]),
    }


def pods(cluster: Json) -> Iterator[Json]:
    """The head's pod and one for each worker."""
    spec = cluster["spec"]
    yield _pod(cluster, spec["headGroupSpec"], "headgroup", 0)
    for group in spec.get("workerGroupSpecs", []):
        yield from (_pod(cluster, group, group["groupName"], number) for number in range(group["replicas"]))


def owner(version: str, kind: str, name: str) -> Json:
    """The owner reference, by which an object is deleted with its owner."""
    return {"apiVersion": version, "kind": kind, "name": name, "uid": f"uid-of-{name}", "controller": True}


def _pod(cluster: Json, group: Json, group_name: str, number: int) -> Json:
    head, name = group_name == "headgroup", cluster["metadata"]["name"]
    template = copy.deepcopy(group["template"])
    spec = template["spec"]
    ray = spec["containers"][0]
    address = f"{name}-head-svc.{cluster['metadata']['namespace']}.svc.cluster.local"
    if not head:
        spec.setdefault("initContainers", []).append(_waiting(ray, address))
    if not any(port.get("name") == "metrics" for port in ray.get("ports", [])):
        ray["ports"] = [*ray.get("ports", []), {"name": "metrics", "containerPort": 8080}]
    _shared_memory(spec, ray)
    ray["env"] = [*ray.get("env", []), *_variables(ray, address, head=head)]
    start = f"ray start {'--head ' if head else ''}--block"
    ray |= {"command": ["/bin/bash", "-c", "--"], "args": [f"ulimit -n ${{RAY_START_ULIMIT_OPEN_FILES:-65536}}; {start}"]}
    for kind in ("livenessProbe", "readinessProbe"):
        ray.setdefault(kind, _probe(cluster["spec"].get("rayVersion", ""), head=head))
    kind = "head" if head else "worker"
    labels = {
        "ray.io/is-ray-node": "yes",
        "ray.io/identifier": f"{name}-{kind}"[-63:],
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/created-by": "kuberay-operator",
        **template["metadata"].get("labels", {}),
        "ray.io/cluster": name,
        "ray.io/node-type": kind,
        "ray.io/group": group_name,
    }
    metadata = {
        "name": f"{name[:50]}-head" if head else f"{name[:50]}-worker-{number:05d}",
        "namespace": cluster["metadata"]["namespace"],
        "labels": labels,
        "annotations": template["metadata"].get("annotations", {}),
        "ownerReferences": [owner("ray.io/v1", "RayCluster", name)],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _waiting(ray: Json, address: str) -> Json:
    copied = {name: copy.deepcopy(ray[name]) for name in ("image", "securityContext", "env", "volumeMounts") if name in ray}
    copied["env"] = [*copied.get("env", []), *_literals({"FQ_RAY_IP": address, "RAY_IP": address.partition(".")[0]})]
    script = f"ray health-check --address {address}:6379"
    resources = {"requests": _WAIT, "limits": _WAIT}
    return copied | {"name": "wait-gcs-ready", "command": ["/bin/bash", "-c", "--"], "args": [script], "resources": resources}


def _shared_memory(spec: Json, ray: Json) -> None:
    if any(mount["mountPath"] == "/dev/shm" for mount in ray.get("volumeMounts", [])):
        return
    if not any(volume["name"] == "shared-mem" for volume in spec.get("volumes", [])):
        memory = {"emptyDir": {"medium": "Memory", "sizeLimit": ray["resources"]["requests"]["memory"]}}
        spec["volumes"] = [*spec.get("volumes", []), {"name": "shared-mem", **memory}]
    ray["volumeMounts"] = [*ray.get("volumeMounts", []), {"name": "shared-mem", "mountPath": "/dev/shm"}]


def _variables(ray: Json, address: str, *, head: bool) -> list[Json]:
    """`setContainerEnvVars`: some variables are always appended, the others only if their name is not used yet."""

    def reference(path: str) -> Json:
        return {"valueFrom": {"fieldRef": {"fieldPath": path}}}

    always = _literals({} if head else {"FQ_RAY_IP": address, "RAY_IP": address.partition(".")[0]})
    always += [
        {"name": "RAY_CLUSTER_NAME", **reference("metadata.labels['ray.io/cluster']")},
        {"name": "RAY_CLUSTER_NAMESPACE", **reference("metadata.namespace")},
        {"name": "RAY_CLOUD_INSTANCE_ID", **reference("metadata.name")},
        {"name": "RAY_NODE_TYPE_NAME", **reference("metadata.labels['ray.io/group']")},
        *_literals({"KUBERAY_GEN_RAY_START_CMD": "ray start"}),
        *_literals({"RAY_USAGE_STATS_EXTRA_TAGS": "kuberay_version=v1.7.0;kuberay_crd=RayJob"} if head else {}),
    ]
    known = {variable["name"] for variable in ray.get("env", [])}
    free = {
        "RAY_PORT": "6379",
        "RAY_ADDRESS": f"{'127.0.0.1' if head else address}:6379",
        "RAY_USAGE_STATS_KUBERAY_IN_USE": "1",
        "RAY_DASHBOARD_ENABLE_K8S_DISK_USAGE": "1",
    }
    return always + _literals({name: value for name, value in free.items() if name not in known})


def _literals(values: dict[str, str]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _probe(version: str, *, head: bool) -> Json:
    if version and tuple(map(int, version.split(".")[:2])) >= (2, 53):
        return {"httpGet": {"path": "/api/healthz", "port": AGENT_PORT}, "timeoutSeconds": 5 if head else 2}
    commands = [_WGET.format(timeout=2, port=AGENT_PORT, path="api/local_raylet_healthz")]
    commands += [_WGET.format(timeout=10, port=8265, path="api/gcs_healthz")] if head else []
    return {"exec": {"command": ["bash", "-c", " && ".join(commands)]}, "timeoutSeconds": 5 if head else 2}
