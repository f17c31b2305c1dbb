"""Minimal serialised tasks, in the form of `serialise`, that a cluster accepts."""

from typing import Any

Json = dict[str, Any]

RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def container(name: str, **more: Any) -> Json:
    """A container that a restricted namespace accepts."""
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    return {"name": name, "image": "r/i@sha256:1", "securityContext": RESTRICTED, "resources": resources, **more}


def spec(primary: Json, **more: Any) -> Json:
    """The spec of a pod with one container."""
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"containers": [primary], "securityContext": context, **more}


def task(primary: Json, groups: Json | None = None, *, workers: int = 2, **more: Any) -> Json:
    """A task with its own pod, and for Ray (if `groups` is given) the templates of head and workers."""
    head = {"rayStartParams": {"num-cpus": "0"}, "k8sPod": {"podSpec": (groups or {}).get("head", {})}}
    group = {"groupName": "workers", "replicas": float(workers), "k8sPod": {"podSpec": (groups or {}).get("workers", {})}}
    cluster = {"headGroupSpec": head, "workerGroupSpec": [group] if workers else []}
    return {
        "id": {"project": "longrun", "domain": "development", "name": "longrun-train.pretraining", "version": "1"},
        "type": "ray" if groups is not None else "python",
        "config": {"primary_container_name": "primary"},
        "k8sPod": {"podSpec": spec(primary, **more)},
        "custom": {"shutdownAfterJobFinishes": True, "rayCluster": cluster},
    }
