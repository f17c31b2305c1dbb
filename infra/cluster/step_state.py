"""Finds out why the steps of a run do not start or have failed, from their pods, Ray jobs, Ray clusters and events.

Flyte sees only a step's own pod or Ray job, not why a pod of its Ray cluster does not start. All objects of a step carry the
labels `run`, `action` and `attempt` (flyteorg/flyte v2.0.43, executor/pkg/plugin/task_exec_metadata.go); a Ray cluster has those
of its job (ray-project/kuberay v1.7.0, rayjob_controller.go: constructRayClusterForRayJob).
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from infra.cluster.client import ClusterClient
from infra.cluster.failures import explained, reason

COLLECTIONS = ("api/v1/namespaces/{}/pods", "apis/ray.io/v1/namespaces/{}/rayjobs", "apis/ray.io/v1/namespaces/{}/rayclusters")
"""API paths of the kinds of objects that a step consists of; {} is the namespace."""

TAKING_SECONDS = 20.0
"""Time for KubeRay to set the status of a new Ray job; normally it does so at once."""

_STARTING = {"", "ContainerCreating", "PodInitializing"}
"""Reasons of a waiting container that is starting normally."""

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """Something that keeps a step's object from running, or that ended it."""

    object: str
    """Kind and name, such as `pod r1-a0-0`."""
    what: str
    """Reason and message, from Kubernetes, KubeRay or the container."""
    since: float
    """Unix time since when it has been so."""
    ordinary: bool = False
    """Whether it is normal for a while, such as pulling an image."""

    @property
    def line(self) -> str:
        """Object and message in one line."""
        return f"{self.object}: {self.what}"


def observations(cluster: ClusterClient, run: str) -> dict[str, Observation]:
    """The most serious observation about each step of a run, by Flyte's name of its action; steps without problems are left out.

    Raises:
        ClusterError: the Kubernetes API cannot be reached, or this user may not list the objects.
    """
    namespace = cluster.profile.namespace
    with ThreadPoolExecutor(len(COLLECTIONS) + 1) as threads:
        asked = [threads.submit(cluster.objects, f"/{path.format(namespace)}", f"run={run}") for path in COLLECTIONS]
        events = threads.submit(cluster.objects, f"/api/v1/namespaces/{namespace}/events")
    pods, jobs, clusters = (_by_action(question.result()) for question in asked)
    told = _Events(events.result())
    gravest = {name.removeprefix(f"{run}-"): seen for name, seen in told.of_flyte(f"{run}-")}
    for action in {**pods, **jobs, **clusters}:
        of_jobs = [seen for job in jobs[action] for seen in _of_job(job, told)]
        of_clusters = [seen for made in clusters[action] for seen in told.refusals(made, "RayCluster")]
        every = [*of_jobs, *of_clusters, *_of_pods(pods[action], told)]
        gravest.pop(action, None)
        if every:
            gravest[action] = min(every, key=lambda seen: (seen.ordinary, explained(seen.what) is None))
    return gravest


def _by_action(objects: Sequence[Json]) -> "defaultdict[str, list[Json]]":
    """Group objects by action; only those of the newest attempt."""
    newest: dict[str, int] = {}
    for made in objects:
        newest[_label(made, "action")] = max(newest.get(_label(made, "action"), 0), int(_label(made, "attempt") or 1))
    grouped: defaultdict[str, list[Json]] = defaultdict(list)
    for made in objects:
        if int(_label(made, "attempt") or 1) == newest[_label(made, "action")]:
            grouped[_label(made, "action")].append(made)
    return grouped


class _Events:
    """Events by the object that they are about, in order of time."""

    def __init__(self, events: Sequence[Json]) -> None:
        self._of: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
        for event in sorted(events, key=_last):
            about = event.get("involvedObject") or {}
            self._of[about.get("kind", ""), about.get("name", "")].append(event)

    def newest(self, kind: str, name: str) -> Json | None:
        """The newest event of an object; None if it has none."""
        events = self._of.get((kind, name))
        return events[-1] if events else None

    def of_flyte(self, prefix: str) -> Iterator[tuple[str, Observation]]:
        """Warnings of Flyte about its actions, by the name of the action's object, RUN-ACTION.

        Flyte writes no event when the problem is solved, so these count only for actions that have no other objects.
        """
        for (kind, name), events in self._of.items():
            if kind == "TaskAction" and name.startswith(prefix) and events[-1].get("type") == "Warning":
                yield name, Observation(object=f"Flyte's step {name}", what=_told(events[-1]), since=_first(events[-1]))

    def refusals(self, made: Json, kind: str) -> Iterator[Observation]:
        """The newest event of an object, if it is a warning: what its operator could not do."""
        event = self.newest(kind, _name(made))
        if event is not None and event.get("type") == "Warning":
            yield Observation(object=f"{kind} {_name(made)}", what=_told(event), since=_first(event))


def _of_job(job: Json, told: _Events) -> Iterator[Observation]:
    status, created = job.get("status") or {}, _seconds(job["metadata"].get("creationTimestamp"))
    what = f"RayJob {_name(job)}"
    if status.get("jobDeploymentStatus") in {"Failed", "ValidationFailed"}:
        message = reason(status.get("message", ""))
        yield Observation(
            object=what, what=f"{status.get('reason', 'Failed')}: {message}", since=_seconds(status.get("endTime")) or created
        )
    elif not status.get("jobDeploymentStatus") and time.time() - created > TAKING_SECONDS:
        yield Observation(object=what, what="KubeRay has not taken this job yet", since=created)
    yield from told.refusals(job, "RayJob")


def _of_pods(pods: Sequence[Json], told: _Events) -> list[Observation]:
    """Observations about pods; several with the same reason are counted: `pod NAME and 3 more`."""
    every = [seen for pod in pods if not pod["metadata"].get("deletionTimestamp") for seen in _of_pod(pod, told)]
    alike = Counter(seen.what.partition(":")[0] for seen in every)
    return [
        replace(seen, object=f"{seen.object} and {more} more") if (more := alike[seen.what.partition(":")[0]] - 1) else seen
        for seen in every
    ]


def _of_pod(pod: Json, told: _Events) -> Iterator[Observation]:
    name, status = _name(pod), pod.get("status") or {}
    what, created = f"pod {name}", _seconds(pod["metadata"].get("creationTimestamp"))
    conditions = {condition["type"]: condition for condition in status.get("conditions") or []}
    for kind, bad in (("DisruptionTarget", "True"), ("PodScheduled", "False")):
        if (condition := conditions.get(kind, {})).get("status") == bad:
            yield Observation(object=what, what=_told(condition), since=_seconds(condition.get("lastTransitionTime")) or created)
    if status.get("phase") == "Failed" and status.get("reason"):
        yield Observation(object=what, what=_told(status), since=created)
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        yield from _of_container(container, what, created)
    if (event := _in_the_way(status.get("phase"), conditions, told.newest("Pod", name))) is not None:
        ordinary = event.get("type") != "Warning"
        yield Observation(object=what, what=_told(event), since=_first(event), ordinary=ordinary)


def _in_the_way(phase: str | None, conditions: Mapping[str, Json], event: Json | None) -> Json | None:
    """The newest event of a pod if it explains why the pod is pending or not ready; else None."""
    if event is None or phase not in {"Pending", "Running"}:
        return None
    ready = conditions.get("Ready", {}).get("status") == "True"
    pulls = event.get("reason") == "Pulling" and phase == "Pending"
    return event if pulls or (event.get("type") == "Warning" and not ready) else None


def _of_container(container: Json, what: str, created: float) -> Iterator[Observation]:
    state, before = container.get("state") or {}, container.get("lastState") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or before.get("terminated") or {}
    if waiting.get("reason", "") not in _STARTING:
        yield Observation(object=what, what=_told(waiting), since=_seconds(ended.get("finishedAt")) or created)
    if ended.get("exitCode"):
        yield Observation(object=what, what=_end(ended), since=_seconds(ended.get("finishedAt")) or created)


def _end(ended: Json) -> str:
    """How a container ended, from its exit code and its last output."""
    code, why = ended["exitCode"], ended.get("reason", "")
    return reason(f"[container] terminated with exit code ({code}). Reason [{why}]. Message:\n{ended.get('message', '')}")


def _told(said: Json) -> str:
    """Reason and message of an event, condition or state, in one line."""
    return reason(": ".join(filter(None, (said.get("reason"), said.get("message")))))


def _first(event: Json) -> float:
    return _seconds(event.get("firstTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp"))


def _last(event: Json) -> float:
    series = (event.get("series") or {}).get("lastObservedTime")
    return _seconds(series or event.get("lastTimestamp")) or _first(event)


def _seconds(moment: str | None) -> float:
    """Unix time of a Kubernetes timestamp; 0 if it is missing."""
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0


def _name(made: Json) -> str:
    return str(made["metadata"]["name"])


def _label(made: Json, label: str) -> str:
    return str((made["metadata"].get("labels") or {}).get(label, ""))
