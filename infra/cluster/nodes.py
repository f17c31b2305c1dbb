"""Computes the free resources of a cluster's nodes, counted as the Kubernetes scheduler does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.cluster.client import ClusterClient, Refused
from infra.cluster.pods import GPU, NODE_LABELS
from infra.cluster.profiles import Profile

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node that accepts pods of tasks: ready, not cordoned, and without taints that tasks do not tolerate."""

    name: str
    allocatable: tuple[float, int, int]
    """Cores, bytes of memory and GPUs for pods; only GPUs of the profile's kinds count."""
    taken: tuple[float, int, int]
    """Cores, bytes of memory and GPUs that all pods of the node request."""
    by_tasks: tuple[float, int, int]
    """The part of `taken` that tasks of longrun request; it becomes free when they end."""
    gpus_alone: bool
    """Whether a taint admits only pods that request GPUs."""

    def free(self, *, without_tasks: bool = False) -> tuple[float, int, int]:
        """Free cores, bytes of memory and GPUs; with `without_tasks`, as if no task of longrun were running."""
        back = self.by_tasks if without_tasks else (0.0, 0, 0)
        cores, memory, gpus = (has - used + again for has, used, again in zip(self.allocatable, self.taken, back, strict=True))
        return cores, int(memory), int(gpus)


def nodes(cluster: ClusterClient) -> list[Node]:
    """The nodes that accept pods of the profile's tasks. Raises `Refused` if the user may not list nodes."""
    pods = _pods(cluster)
    usable = [node for node in cluster.objects("/api/v1/nodes") if _takes_pods(node)]
    return [_node(node, cluster.profile, [pod for pod in pods if _on(pod, node)]) for node in usable]


def _pods(cluster: ClusterClient) -> list[Json]:
    running = "status.phase!=Succeeded,status.phase!=Failed"
    try:
        return [*cluster.objects("/api/v1/pods", fields=running)]
    except Refused:
        return [*cluster.objects(f"/api/v1/namespaces/{cluster.profile.namespace}/pods", fields=running)]


def _node(node: Json, profile: Profile, pods: list[Json]) -> Node:
    allocatable, labels = node["status"].get("allocatable") or {}, node["metadata"].get("labels") or {}
    kinds = any(labels.get(label) in names[kind] for label, names in NODE_LABELS.items() for kind in profile.gpus)
    gpus = int(allocatable.get(GPU, 0)) if kinds else 0
    return Node(
        name=node["metadata"]["name"],
        allocatable=(_cores(allocatable.get("cpu", "0")), _bytes(allocatable.get("memory", "0")), gpus),
        taken=_sum(pods),
        by_tasks=_sum(pod for pod in pods if _is_task(pod, profile)),
        gpus_alone=any(taint["key"] == GPU for taint in _repelling(node)),
    )


def _takes_pods(node: Json) -> bool:
    """Whether a node is ready, not cordoned, and has no taint except the GPU taint, which tasks with GPUs tolerate."""
    conditions = node["status"].get("conditions") or []
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    closed = any(taint["key"] != GPU or taint["effect"] != "NoSchedule" for taint in _repelling(node))
    return ready and not node["spec"].get("unschedulable") and not closed


def _repelling(node: Json) -> list[Json]:
    return [taint for taint in node["spec"].get("taints") or [] if taint["effect"] in {"NoSchedule", "NoExecute"}]


def _on(pod: Json, node: Json) -> bool:
    return bool(pod["spec"].get("nodeName") == node["metadata"]["name"])


def _is_task(pod: Json, profile: Profile) -> bool:
    return bool(pod["spec"].get("serviceAccountName") == f"{profile.release}-tasks")


def _sum(pods: Iterable[Json]) -> tuple[float, int, int]:
    asked = [_requests(pod["spec"]) for pod in pods]
    return sum(amounts[0] for amounts in asked), sum(amounts[1] for amounts in asked), sum(amounts[2] for amounts in asked)


def _requests(spec: Json) -> tuple[float, int, int]:
    """Requests of a pod as the scheduler counts them: the sum over containers and sidecars or the largest init container,
    whichever is more, plus overhead."""
    inits = spec.get("initContainers") or []
    sidecars = [container for container in inits if container.get("restartPolicy") == "Always"]
    long = [_amounts(container) for container in [*spec["containers"], *sidecars]]
    short = [_amounts(container) for container in inits if container not in sidecars]
    overhead = _of(spec.get("overhead") or {})
    cores, memory, gpus = (
        max([sum(values[index] for values in long), *(values[index] for values in short)]) + overhead[index] for index in range(3)
    )
    return cores, int(memory), int(gpus)


def _amounts(container: Json) -> tuple[float, int, int]:
    resources = container.get("resources") or {}
    # a container with a limit and no request requests its limit
    return _of({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _of(amounts: Json) -> tuple[float, int, int]:
    return _cores(amounts.get("cpu", "0")), _bytes(amounts.get("memory", "0")), int(amounts.get(GPU, 0))


def _cores(text: str) -> float:
    return float(_quantity(text))


def _bytes(text: str) -> int:
    return int(_quantity(text))


def _quantity(text: str) -> Any:
    """The number that a Kubernetes quantity stands for, such as 2, 250m, 16Gi, 128974848, 129e6 or 129M."""
    from kubernetes.utils.quantity import parse_quantity

    return parse_quantity(text)
