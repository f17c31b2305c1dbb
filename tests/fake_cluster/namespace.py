"""A namespace as `deploy` leaves it, with strict admission, and kubelets that start pods or fail to."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.cluster import probe
from tests.fake_cluster.api_server import ApiServer, Json, event
from tests.fake_cluster.kubernetes_api import NAMESPACE, FakeCluster, reachable

Kubelet = Callable[[Json], None]


def furnish(server: ApiServer) -> None:
    """Create the namespace longrun: restricted, with the objects of the chart that pods of tasks need."""
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    server.add({"kind": "Namespace", "metadata": {"name": "longrun", "labels": label}})
    server.add({"kind": "ServiceAccount", "metadata": {"name": "longrun-tasks"}})
    for name in ("services", "training", "evaluation"):
        server.add({"kind": "PriorityClass", "metadata": {"name": f"longrun-{name}"}})


@contextmanager
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster with such a namespace and a kubeconfig, and with short waiting times."""
    monkeypatch.setattr(probe, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(probe, "GRACE_SECONDS", 0.0)
    with reachable(tmp_path, monkeypatch) as fake:
        del fake.answers[f"{NAMESPACE}/pods"]
        furnish(fake.server)
        yield fake


def answering(server: ApiServer, answers: list[dict[str, str]] | str) -> Kubelet:
    """A kubelet whose pods print the answers, or a text, and exit."""
    text = answers if isinstance(answers, str) else "a warning of a library\n" + json.dumps(answers) + "\n"

    def start(pod: Json) -> None:
        server.logs[pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]] = text
        pod["status"] = {"phase": "Succeeded" if not isinstance(answers, str) else "Failed"}

    return start


def waiting(reason: str, message: str) -> Kubelet:
    """A kubelet that cannot start a container."""

    def start(pod: Json) -> None:
        state = {"waiting": {"reason": reason, "message": message}}
        pod["status"] = {"phase": "Pending", "containerStatuses": [{"name": "primary", "ready": False, "state": state}]}

    return start


def unscheduled(message: str) -> Kubelet:
    """A scheduler that finds no node for a pod."""

    def start(pod: Json) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        pod["status"] = {"phase": "Pending", "conditions": [condition]}

    return start


def with_event(server: ApiServer, reason: str, message: str) -> Kubelet:
    """A kubelet that writes an event and then gets stuck."""

    def start(pod: Json) -> None:
        creating: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
        pod["status"] = {"phase": "Pending", "containerStatuses": [{"name": "primary", "ready": False, "state": creating}]}
        server.add(event(pod, reason, message))

    return start
