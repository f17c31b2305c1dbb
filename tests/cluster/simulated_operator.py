"""Simulates KubeRay's operator and the kubelet: turns Ray jobs into clusters and pods, which run, end and are deleted.

As ray-project/kuberay v1.7.0 does (ray-operator/controllers/ray/rayjob_controller.go): each job has a finalizer, which the
operator alone takes away, and a cluster, whose pods go with it. A job whose head is lost has failed; a lost worker is replaced.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.fake_cluster import kuberay_pods, kuberay_rules
from tests.fake_cluster.api_server import ApiServer, Refusal, event

Json = dict[str, Any]

FINALIZER = "ray.io/rayjob-finalizer"
LABELS = {"app.kubernetes.io/name": "kuberay-operator"}


@dataclass
class Operator:
    """Acts once per turn, if one of its pods is ready. A turn stands for a few seconds."""

    server: ApiServer
    turns: dict[str, int] = field(default_factory=dict)
    """Name of a Ray job -> turns that its training has run."""
    turns_needed: dict[str, int] = field(default_factory=dict)
    """Name of a Ray job -> turns that it needs; others need three."""

    def turn(self) -> None:
        """Start pods, and advance every job by one step."""
        for pod in self.server.of("pods"):
            _start_pod(pod)
        if any(LABELS.items() <= pod["metadata"].get("labels", {}).items() and ready(pod) for pod in self.server.of("pods")):
            for job in list(self.server.of("rayjobs")):
                self._reconcile(job)

    def _reconcile(self, job: Json) -> None:
        metadata, status = job["metadata"], job.setdefault("status", {})
        name = metadata["name"]
        if "deletionTimestamp" in metadata:
            metadata["finalizers"] = []
            self._delete("rayjobs", job)
        elif not status:
            self._start_job(job)
        elif status["jobDeploymentStatus"] in {"Initializing", "Running"}:
            self._continue(job)
        elif status["jobDeploymentStatus"] in {"Complete", "Failed"}:
            for cluster in [other for other in self.server.of("rayclusters") if other["metadata"]["name"].startswith(f"{name}-")]:
                self._delete("rayclusters", cluster)

    def _start_job(self, job: Json) -> None:
        if broken := list(kuberay_rules.refusals(job)):
            job["status"] = {"jobDeploymentStatus": "ValidationFailed", "message": broken[0]}
            self.server.add(event(job, "InvalidRayJobSpec", broken[0]))
            return
        job["metadata"]["finalizers"] = [FINALIZER]
        cluster = kuberay_pods.ray_cluster(job)
        self.server.add(cluster)
        job["status"] = {"jobDeploymentStatus": "Initializing", "rayClusterName": cluster["metadata"]["name"]}
        for pod in kuberay_pods.pods(cluster):
            try:
                self.server.create(pod)
            except Refusal as refusal:
                kind = "Head" if pod["metadata"]["labels"]["ray.io/node-type"] == "head" else "Worker"
                self.server.add(event(cluster, f"FailedToCreate{kind}Pod", str(refusal)))

    def _continue(self, job: Json) -> None:
        name, status = job["metadata"]["name"], job["status"]
        (cluster,) = [other for other in self.server.of("rayclusters") if other["metadata"]["name"] == status["rayClusterName"]]
        wanted = {pod["metadata"]["name"]: pod for pod in kuberay_pods.pods(cluster)}
        there = {pod["metadata"]["name"]: pod for pod in self.server.of("pods") if pod["metadata"]["name"] in wanted}
        lost = [pod for name, pod in wanted.items() if name not in there]
        if any(pod["metadata"]["labels"]["ray.io/node-type"] == "head" for pod in lost) and status.get("jobStatus"):
            status |= {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "reason": "AppFailed"}
            return
        for pod in lost:
            self.server.create(pod)
            # what was trained since the last checkpoint is trained again
            self.turns[name] = max(self.turns.get(name, 0) - 1, 0)
        if not lost and all(map(ready, there.values())):
            status |= {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
            self.turns[name] = self.turns.get(name, 0) + 1
        if self.turns.get(name, 0) > self.turns_needed.get(name, 3):
            status |= {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}

    def _delete(self, plural: str, obj: Json) -> None:
        version = obj["apiVersion"]
        metadata = obj["metadata"]
        self.server.handle("DELETE", f"/apis/{version}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}")


def ready(pod: Json) -> bool:
    """Whether a pod has started and answers its probes."""
    return any(condition == {"type": "Ready", "status": "True"} for condition in pod["status"].get("conditions", []))


def _start_pod(pod: Json) -> None:
    status = pod["status"]
    if status["phase"] == "Pending":
        status["phase"] = "Running"
    elif status["phase"] == "Running":
        status["conditions"] = [{"type": "Ready", "status": "True"}]
