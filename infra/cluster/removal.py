"""What `helm uninstall` leaves or hangs on: what runs have made in a namespace, and what Flyte made for itself.

Flyte v2.0.43 (executor/pkg/controller, executor/pkg/webhook) and KubeRay v1.7.0 (ray-operator) put finalizers on their objects,
which nobody takes off once they are gone; Flyte's resource definition goes with its chart, so that uninstalling it waits for its
objects for ever. Everything here may be done again after an interruption: what is not there is not an error.
"""

import time
from dataclasses import dataclass

from components.errors import ClusterError
from infra.cluster.client import ClusterClient, KubernetesObject

GONE_SECONDS = 60.0
"""For the operator to take its finalizers off; after that it is done here."""

POLL_SECONDS = 0.5

TASK_PODS = "app.kubernetes.io/part-of=longrun,!app.kubernetes.io/instance"
"""Selector of the pods of tasks: those of the chart carry its release's name."""

_WEBHOOK = "flyte-pod-webhook.flyte.org"
_WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@dataclass(frozen=True, slots=True)
class RunObjects:
    """A kind of objects that runs make, and the deployment that serves their finalizers."""

    collection: str
    """Group, version and plural."""
    words: str
    server: str


KINDS = (
    # first: Flyte takes what an action has started with it
    RunObjects("flyte.org/v1/taskactions", "Flyte's actions", "flyte"),
    RunObjects("ray.io/v1/rayjobs", "Ray jobs", "kuberay-operator"),
    RunObjects("ray.io/v1/rayclusters", "Ray clusters", "kuberay-operator"),
)


def going_on(cluster: ClusterClient) -> list[str]:
    """Names of runs, and of Ray jobs of nobody's, that have not ended."""
    actions = cluster.objects(_path(cluster, KINDS[0]))
    runs = {action["spec"]["runName"] for action in actions if not _ended_action(action)}
    known = {action["metadata"]["name"] for action in actions}
    jobs = {job["metadata"]["name"] for job in cluster.objects(_path(cluster, KINDS[1])) if not _ended_job(job)}
    return sorted(runs) + sorted(name for name in jobs if name not in known)


def _ended_action(action: KubernetesObject) -> bool:
    """Terminal as Flyte counts it: the condition Succeeded or Failed holds; or it is being deleted already."""
    conditions = action.get("status", {}).get("conditions") or []
    ended = any(entry["type"] in {"Succeeded", "Failed"} and entry["status"] == "True" for entry in conditions)
    return ended or "deletionTimestamp" in action["metadata"]


def _ended_job(job: KubernetesObject) -> bool:
    status = job.get("status", {}).get("jobDeploymentStatus", "")
    return status in {"Complete", "Failed", "ValidationFailed"} or "deletionTimestamp" in job["metadata"]


def names(cluster: ClusterClient, kind: RunObjects) -> list[str]:
    """Names of the objects of a kind that are in the namespace; none where the cluster does not know the kind."""
    return [present["metadata"]["name"] for present in cluster.objects(_path(cluster, kind))]


def delete_all(cluster: ClusterClient, kind: RunObjects) -> None:
    """Delete the objects of a kind and wait until they are gone; whose finalizers nobody serves loses them.

    Raises:
        ClusterError: some are still there, or came anew.
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
            raise ClusterError(f"{len(present)} {kind.words} are still there, such as {name}; run this again")
        time.sleep(POLL_SECONDS)


def delete_task_pods(cluster: ClusterClient) -> int:
    """Delete the pods that tasks have left; how many."""
    pods = f"{_namespace(cluster)}/pods"
    present = cluster.objects(pods, TASK_PODS)
    for pod in present:
        cluster.delete(f"{pods}/{pod['metadata']['name']}")
    return len(present)


def delete_flytes_own(cluster: ClusterClient) -> list[str]:
    """Delete what Flyte makes when it starts and its chart does not know: its webhook's configuration, Secret and lease.

    As long as the configuration is there, `failurePolicy: Fail` refuses pods that nobody changes any more. One that sends to
    another namespace is another Flyte's.
    """
    webhooks = {present["metadata"]["name"]: _service(cluster, present) for present in cluster.objects(_WEBHOOKS)}
    ours = {name: service for name, service in webhooks.items() if service}
    secrets = [f"{_namespace(cluster)}/secrets/{service}-secret" for service in sorted({*ours.values(), "flyte-webhook"})]
    # the Secret first: its name is known from the configuration, if this is interrupted in between
    return _deleted(cluster, [*secrets, *(f"{_WEBHOOKS}/{name}" for name in ours)])


def delete_leftovers(cluster: ClusterClient) -> list[str]:
    """Delete leases of leader elections, and what `helm test` has left: no chart's uninstallation takes them."""
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
    """Names of the claims that stay."""
    present = cluster.objects(f"{_namespace(cluster)}/persistentvolumeclaims")
    return [claim["metadata"]["name"] for claim in present]


def _deleted(cluster: ClusterClient, paths: list[str]) -> list[str]:
    """What was there and is deleted, as KIND/NAME."""
    return ["/".join(path.split("/")[-2:]) for path in paths if cluster.delete(path)]


def _service(cluster: ClusterClient, configuration: KubernetesObject) -> str:
    """Name of the service that Flyte's webhook in this namespace is sent to; empty for the configuration of somebody else."""
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
