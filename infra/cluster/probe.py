"""Runs a short-lived pod, built like a task's, that tests a cluster's services from inside. It is always deleted."""

import contextlib
import json
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

from components.errors import ClusterError
from infra.cluster.client import ClusterClient, KubernetesObject, Missing
from infra.cluster.failures import reason_in_log
from infra.cluster.machines import Machine, machines
from infra.cluster.pods import pod_template
from infra.cluster.profiles import Profile
from infra.cluster.sizes import Size

START_SECONDS = 90.0
"""Timeout for the pod to be scheduled, to pull its image and to answer."""

GRACE_SECONDS = 6.0
"""How long problems of the pod are ignored: the scheduler and the kubelet retry."""

POLL_SECONDS = 0.5

COMPONENT = "doctor"
"""Component label of the pods, by which pods of a killed `longrun doctor` are found."""

SIZE = Size(cores="1", memory="1Gi", request_cores="50m", request_memory="256Mi")
"""Enough for MLflow's client and obstore."""

_STUCK = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
"""Reasons of a waiting container that waiting does not fix."""

_EVENTS = {"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedScheduling"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Inside:
    """The answers of a pod."""

    seconds: float
    """Seconds from the pod's creation to its answers."""
    answers: list[dict[str, str]]
    """As `infra.from_inside` prints them."""


class StillPulling(ClusterError):
    """The pod's image was still being pulled at the timeout."""


def ask_inside(cluster: ClusterClient) -> Inside:
    """Start the pod, wait for its answers and delete it; returns the answers.

    Raises:
        StillPulling: its image takes longer than `START_SECONDS`.
        ClusterError: the API rejects the pod, or it does not start or exits without answers; with Kubernetes' message.
    """
    _sweep(cluster)
    name = f"{cluster.profile.release}-doctor-{uuid.uuid4().hex[:8]}"
    started = time.monotonic()
    with _until_deleted(cluster, name):
        cluster.create(_pods(cluster), manifest(cluster.profile, name))
        pod = _ended(cluster, name, started)
        return Inside(seconds=time.monotonic() - started, answers=_answers(cluster, pod))


def manifest(profile: Profile, name: str) -> KubernetesObject:
    """The pod's manifest: a driver's pod, but small, with the checkpoint claim mounted, and without preempting other pods."""
    from kubernetes import client as k8s

    driver = machines(profile)["driver"]
    assert isinstance(driver, Machine)
    machine = replace(driver, environment=COMPONENT, size=SIZE, priority="evaluation", checkpoints=True)
    template = pod_template(profile, machine)
    spec: KubernetesObject = k8s.ApiClient().sanitize_for_serialization(template.pod_spec)
    spec |= {"restartPolicy": "Never", "activeDeadlineSeconds": int(2 * START_SECONDS), "terminationGracePeriodSeconds": 1}
    spec["containers"][0] |= {"command": ["python", "-m", "infra.from_inside"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": template.labels}, "spec": spec}


def may_ask(cluster: ClusterClient) -> list[str]:
    """The rights on pods that this user lacks for `ask_inside`, such as `create pods`; empty if none."""
    wanted = {"create pods": ("create", ""), "delete pods": ("delete", ""), "get pods/log": ("get", "log")}
    return [words for words, (verb, sub) in wanted.items() if not cluster.may(verb, "pods", subresource=sub)]


@contextlib.contextmanager
def _until_deleted(cluster: ClusterClient, name: str) -> Iterator[None]:
    """Delete the pod at the end of the block, also after Ctrl-C, SIGTERM and SIGHUP."""
    with _raised_signals():
        try:
            yield
        finally:
            with contextlib.suppress(ClusterError):
                cluster.delete(f"{_pods(cluster)}/{name}")


@contextlib.contextmanager
def _raised_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise `SystemExit`, so that `finally` blocks run; does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    former = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _sweep(cluster: ClusterClient) -> None:
    """Delete finished pods that a killed `longrun doctor` left behind. A running pod belongs to another `longrun doctor`."""
    for pod in cluster.objects(_pods(cluster), f"app.kubernetes.io/component={COMPONENT}"):
        if pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
            cluster.delete(f"{_pods(cluster)}/{pod['metadata']['name']}")


def _ended(cluster: ClusterClient, name: str, started: float) -> KubernetesObject:
    """Wait until the pod has exited and return it. Raises `ClusterError` with the reason if it does not start in time."""
    while True:
        try:
            pod = cluster.read(f"{_pods(cluster)}/{name}")
        except Missing as error:
            raise ClusterError(f"pod {name} was deleted before it answered; run the command again") from error
        waited = time.monotonic() - started
        if pod["status"].get("phase") in {"Succeeded", "Failed"}:
            return pod
        if obstacle := _obstacle(cluster, pod, patient=waited < GRACE_SECONDS):
            raise ClusterError(obstacle)
        if waited >= START_SECONDS:
            raise _late(cluster, pod)
        time.sleep(POLL_SECONDS)


def _obstacle(cluster: ClusterClient, pod: KubernetesObject, *, patient: bool) -> str:
    """Why a pod does not start, as Kubernetes reports it; empty while it may still start."""
    waiting = [_waiting(container) for container in pod["status"].get("containerStatuses", [])]
    stuck = [f"{state['reason']}: {state.get('message', '')}" for state in waiting if state.get("reason") in _STUCK]
    if stuck or patient:
        return next(iter(stuck), "")
    for condition in pod["status"].get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason')}: {condition.get('message')}"
    if any(container.get("state", {}).get("running") for container in pod["status"].get("containerStatuses", [])):
        return ""
    events = [event for event in _events(cluster, pod) if event["reason"] in _EVENTS]
    return f"{events[-1]['reason']}: {events[-1]['message']}" if events else ""


def _late(cluster: ClusterClient, pod: KubernetesObject) -> ClusterError:
    events = _events(cluster, pod)
    if events and events[-1]["reason"] == "Pulling":
        return StillPulling(f"after {START_SECONDS:.0f} s: {events[-1]['message']}")
    last = f"; last: {events[-1]['reason']}: {events[-1]['message']}" if events else ""
    return ClusterError(f"no answer within {START_SECONDS:.0f} s: the pod is {pod['status'].get('phase', 'Pending')}{last}")


def _events(cluster: ClusterClient, pod: KubernetesObject) -> list[KubernetesObject]:
    """Events of the pod, newest last; empty if the user may not read events."""
    name = pod["metadata"]["name"]
    try:
        events = cluster.objects(f"/api/v1/namespaces/{cluster.profile.namespace}/events", fields=f"involvedObject.name={name}")
    except ClusterError:
        return []
    return sorted(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))


def _answers(cluster: ClusterClient, pod: KubernetesObject) -> list[dict[str, str]]:
    """The answers in the last line of the pod's log. Raises `ClusterError` if that line is not a list of answers."""
    lines = cluster.log(pod["metadata"]["name"]).strip().splitlines()
    try:
        answers = json.loads(lines[-1])
        return [{key: str(answer[key]) for key in ("what", "observed", "problem")} for answer in answers]
    except (IndexError, ValueError, TypeError, KeyError) as error:
        why = pod["status"].get("reason") or reason_in_log(lines) or "its log is empty"
        raise ClusterError(f"the pod exited without answers: {why}") from error


def _waiting(container: KubernetesObject) -> KubernetesObject:
    waiting: KubernetesObject = container.get("state", {}).get("waiting") or {}
    return waiting


def _pods(cluster: ClusterClient) -> str:
    return f"/api/v1/namespaces/{cluster.profile.namespace}/pods"
