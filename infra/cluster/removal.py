"""Deletes the objects that `helm uninstall` leaves or hangs on: those created by runs, and those that Flyte creates itself.

Flyte v2.0.43 (executor/pkg/controller, executor/pkg/webhook) and KubeRay v1.7.0 (ray-operator) put finalizers on their objects,
which nothing removes once they are uninstalled. Flyte's custom resource definition belongs to its chart, so uninstalling the
chart would wait forever for objects with finalizers. Everything here can be repeated after an interruption: missing objects are
not an error.
"""

import time
from dataclasses import dataclass

from components.errors import ClusterError
from infra.cluster.client import ClusterClient, KubernetesObject

GONE_SECONDS = 60.0
"""How long to wait for an operator to remove its finalizers; after that they are removed here."""

POLL_SECONDS = 0.5

TASK_PODS = "app.kubernetes.io/part-of=longrun,!app.kubernetes.io/instance"
"""Label selector of task pods; unlike these, pods of the chart have the label `instance`."""

_WEBHOOK = "flyte-pod-webhook.flyte.org"
_WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@dataclass(frozen=True, slots=True)
class RunObjects:
    """A kind of objects that runs create, and the deployment that removes their finalizers."""

    collection: str
    """API group, version and plural name."""
    words: str
    server: str


KINDS = (
    # first, because deleting an action makes Flyte delete what the action started
    RunObjects("flyte.org/v1/taskactions", "Flyte's actions", "flyte"),
    RunObjects("ray.io/v1/rayjobs", "Ray jobs", "kuberay-operator"),
    RunObjects("ray.io/v1/rayclusters", "Ray clusters", "kuberay-operator"),
)


def going_on(cluster: ClusterClient) -> list[str]:
    """Names of unfinished runs, and of unfinished Ray jobs that belong to no run."""
    actions = cluster.objects(_path(cluster, KINDS[0]))
    runs = {action["spec"]["runName"] for action in actions if not _ended_action(action)}
    known = {action["metadata"]["name"] for action in actions}
    jobs = {job["metadata"]["name"] for job in cluster.objects(_path(cluster, KINDS[1])) if not _ended_job(job)}
    return sorted(runs) + sorted(name for name in jobs if name not in known)


def _ended_action(action: KubernetesObject) -> bool:
    """Whether an action has the condition Succeeded or Failed, or is already being deleted."""
    conditions = action.get("status", {}).get("conditions") or []
    ended = any(entry["type"] in {"Succeeded", "Failed"} and entry["status"] == "True" for entry in conditions)
    return ended or "deletionTimestamp" in action["metadata"]


def _ended_job(job: KubernetesObject) -> bool:
    status = job.get("status", {}).get("jobDeploymentStatus", "")
    return status in {"Complete", "Failed", "ValidationFailed"} or "deletionTimestamp" in job["metadata"]


def names(cluster: ClusterClient, kind: RunObjects) -> list[str]:
    """Names of the objects of a kind in the namespace; empty if the cluster does not know the kind."""
    return [present["metadata"]["name"] for present in cluster.objects(_path(cluster, kind))]


def delete_all(cluster: ClusterClient, kind: RunObjects) -> None:
    """Delete the objects of a kind and wait until they are gone; removes finalizers that their operator does not remove.

    Raises:
        ClusterError: some objects still exist after the timeout, or new ones appeared.
    """
    path = _path(cluster, kind)
    deadline = time.monotonic() + (GONE_SECONDS if cluster.serves(kind.server) else 0.0)
    while present := cluster.objects(path):
        late = time.monotonic() >= deadline
        for item in present:
            name = item["metadata"]["name"]
            if "deletionTimestamp" not in item["metadata"]:
                cluster.delete(f"{path}/{name}")
            elif late and item["metadata"].get("finalizers"):
                cluster.release(f"{path}/{name}")
        if time.monotonic() >= deadline + GONE_SECONDS:
            name = present[0]["metadata"]["name"]
            raise ClusterError(f"{len(present)} {kind.words} still exist, such as {name}; run this command again")
        time.sleep(POLL_SECONDS)


def delete_task_pods(cluster: ClusterClient) -> int:
    """Delete the pods of tasks; returns how many there were."""
    pods = f"{_namespace(cluster)}/pods"
    present = cluster.objects(pods, TASK_PODS)
    for pod in present:
        cluster.delete(f"{pods}/{pod['metadata']['name']}")
    return len(present)


def delete_flytes_own(cluster: ClusterClient) -> list[str]:
    """Delete what Flyte creates at its start, outside its chart: the configuration and Secret of its webhook; returns their
    names.

    While the configuration exists, its `failurePolicy: Fail` makes the API reject pods, because the webhook no longer answers. A
    configuration that points to another namespace belongs to another Flyte and stays.
    """
    webhooks = {present["metadata"]["name"]: _service(cluster, present) for present in cluster.objects(_WEBHOOKS)}
    ours = {name: service for name, service in webhooks.items() if service}
    secrets = [f"{_namespace(cluster)}/secrets/{service}-secret" for service in sorted({*ours.values(), "flyte-webhook"})]
    # the Secret first: after an interruption its name can still be read from the configuration
    return _deleted(cluster, [*secrets, *(f"{_WEBHOOKS}/{name}" for name in ours)])


def delete_leftovers(cluster: ClusterClient) -> list[str]:
    """Delete leases of leader elections and the objects of `helm test`, which uninstalling leaves; returns their names."""
    namespace, release = _namespace(cluster), cluster.profile.release
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.profile.namespace}/leases"
    test = f"{release}-connection-test"
    return _deleted(
        cluster,
        [
            *(f"{leases}/{name}" for name in ("ray-operator-leader", "abf369a8.flyte.org")),
            *(f"{namespace}/{plural}/{test}" for plural in ("pods", "configmaps")),
        ],
    )


def claims(cluster: ClusterClient) -> list[str]:
    """Names of the PersistentVolumeClaims in the namespace, which are not deleted."""
    present = cluster.objects(f"{_namespace(cluster)}/persistentvolumeclaims")
    return [claim["metadata"]["name"] for claim in present]


def _deleted(cluster: ClusterClient, paths: list[str]) -> list[str]:
    """Delete the objects at these paths; returns those that existed, as KIND/NAME."""
    return ["/".join(path.split("/")[-2:]) for path in paths if cluster.delete(path)]


def _service(cluster: ClusterClient, configuration: KubernetesObject) -> str:
    """Name of the service behind Flyte's webhook in this namespace; empty if the configuration belongs to something else."""
    for webhook in configuration.get("webhooks") or []:
        service = webhook["clientConfig"].get("service") or {}
        if webhook["name"] == _WEBHOOK and service.get("namespace") == cluster.profile.namespace:
            return str(service["name"])
    return ""


def _namespace(cluster: ClusterClient) -> str:
    return f"/api/v1/namespaces/{cluster.profile.namespace}"


def _path(cluster: ClusterClient, kind: RunObjects) -> str:
    group, version, plural = kind.collection.split("/")
    return f"/apis/{group}/{version}/namespaces/{cluster.profile.namespace}/{plural}"
