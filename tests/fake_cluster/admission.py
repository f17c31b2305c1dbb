"""Derives the objects that a cluster creates for a serialised task, and the reasons why any of them would be rejected."""

from collections.abc import Iterator
from typing import Any

from tests.fake_cluster import kuberay_pods
from tests.fake_cluster.flyte_pods import Execution, Settings, pod_of
from tests.fake_cluster.list_rules import refusals
from tests.fake_cluster.ray_plugin import ray_job

Json = dict[str, Any]


def objects(task: Json, execution: Execution | None = None, settings: Settings | None = None) -> Iterator[Json]:
    """The objects created for a task: its pod, or its RayJob and the pods of its Ray cluster."""
    if task["type"] != "ray":
        yield pod_of(task, execution, settings)
        return
    job = ray_job(task, execution, settings)
    yield job
    yield from kuberay_pods.pods(kuberay_pods.ray_cluster(job))


def pods(task: Json, execution: Execution | None = None, settings: Settings | None = None) -> list[Json]:
    """The pods of a task, as they are sent to Kubernetes."""
    return [made for made in objects(task, execution, settings) if made["kind"] == "Pod"]


def task_refusals(task: Json, execution: Execution | None = None, settings: Settings | None = None) -> list[str]:
    """Reasons why the API server, Pod Security or KubeRay would reject an object of a task, one line each."""
    return [
        f"{made['kind']} {made['metadata']['name']}: {problem}"
        for made in objects(task, execution, settings)
        for problem in refusals(made)
    ]
