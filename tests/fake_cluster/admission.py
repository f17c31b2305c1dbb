"""What becomes of a serialised task in a cluster, and why any of it would be refused: Flyte's objects, then KubeRay's pods."""

from collections.abc import Iterator
from typing import Any

from tests.fake_cluster import kuberay_pods
from tests.fake_cluster.flyte_pods import Execution, Settings, pod_of
from tests.fake_cluster.list_rules import refusals
from tests.fake_cluster.ray_plugin import ray_job

Json = dict[str, Any]


def objects(task: Json, execution: Execution | None = None, settings: Settings | None = None) -> Iterator[Json]:
    """What is created for a task: its pod, or its RayJob and then the pods of its Ray cluster."""
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
    """Everything that the API server, Pod Security or KubeRay refuses of what a task becomes; one line each."""
    return [
        f"{made['kind']} {made['metadata']['name']}: {problem}"
        for made in objects(task, execution, settings)
        for problem in refusals(made)
    ]
