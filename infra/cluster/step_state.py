"""What a cluster says of the steps of a run: of their pods, Ray jobs and Ray clusters, and in the events of all of these.

Flyte sees a step's pod or Ray job alone, so that the reason why a pod of a Ray cluster does not start never reaches it. All of a
step's objects carry the labels `run`, `action` and `attempt` (flyteorg/flyte v2.0.43, executor/pkg/plugin/task_exec_metadata.go);
a Ray cluster has those of its job (ray-project/kuberay v1.7.0, rayjob_controller.go: constructRayClusterForRayJob).
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
"""Where the API has what a step is made of."""

TAKING_SECONDS = 20.0
"""Within which KubeRay says something of a new Ray job; it looks at once."""

_STARTING = {"", "ContainerCreating", "PodInitializing"}
"""Reasons of a container that waits for nothing but its turn."""

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """Something about a step's objects that keeps it from running, or ended it."""

    object: str
    """Kind and name, such as `pod r1-a0-0`."""
    what: str
    """Reason and message of Kubernetes, of KubeRay or of the container."""
    since: float
    """Unix time."""
    ordinary: bool = False
    """Whether it is usual for a while, such as the pull of an image."""

    @property
    def line(self) -> str:
        """Both in a line."""
        return f"{self.object}: {self.what}"


def observations(cluster: ClusterClient, run: str) -> dict[str, Observation]:
    """The gravest observation of each step of a run by Flyte's name of its action; none where nothing is in the way.

    Raises:
        ClusterError: the API server cannot be reached, or lets this user not look.
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
    """Objects of the newest attempt of each action."""
    newest: dict[str, int] = {}
    for made in objects:
        newest[_label(made, "action")] = max(newest.get(_label(made, "action"), 0), int(_label(made, "attempt") or 1))
    grouped: defaultdict[str, list[Json]] = defaultdict(list)
    for made in objects:
        if int(_label(made, "attempt") or 1) == newest[_label(made, "action")]:
            grouped[_label(made, "action")].append(made)
    return grouped


class _Events:
    """Events by what they are about, in the order of their times."""

    def __init__(self, events: Sequence[Json]) -> None:
        self._of: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
        for event in sorted(events, key=_last):
            about = event.get("involvedObject") or {}
            self._of[about.get("kind", ""), about.get("name", "")].append(event)

    def newest(self, kind: str, name: str) -> Json | None:
        """The last event of an object."""
        events = self._of.get((kind, name))
        return events[-1] if events else None

    def of_flyte(self, prefix: str) -> Iterator[tuple[str, Observation]]:
        """What Flyte itself could not do for an action, by the name of its object, which is the run's and the action's.

        It says nothing when it could later: this holds for actions alone that have no other objects.
        """
        for (kind, name), events in self._of.items():
            if kind == "TaskAction" and name.startswith(prefix) and events[-1].get("type") == "Warning":
                yield name, Observation(object=f"Flyte's step {name}", what=_told(events[-1]), since=_first(events[-1]))

    def refusals(self, made: Json, kind: str) -> Iterator[Observation]:
        """What an operator could not do for an object, unless it has done something since."""
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
        yield Observation(object=what, what="KubeRay has not taken it up", since=created)
    yield from told.refusals(job, "RayJob")


def _of_pods(pods: Sequence[Json], told: _Events) -> list[Observation]:
    """What stands in the way of each pod; of several with the same reason the first, and how many more."""
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
    """The last event of a pod that is not up yet, or not ready; `Started` and the like say nothing."""
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
    """How a container ended, from its exit code and the last that it has printed."""
    code, why = ended["exitCode"], ended.get("reason", "")
    return reason(f"[container] terminated with exit code ({code}). Reason [{why}]. Message:\n{ended.get('message', '')}")


def _told(said: Json) -> str:
    """Reason and message of an event, a condition or a state, in a line."""
    return reason(": ".join(filter(None, (said.get("reason"), said.get("message")))))


def _first(event: Json) -> float:
    return _seconds(event.get("firstTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp"))


def _last(event: Json) -> float:
    series = (event.get("series") or {}).get("lastObservedTime")
    return _seconds(series or event.get("lastTimestamp")) or _first(event)


def _seconds(moment: str | None) -> float:
    """Unix time of a time as Kubernetes writes it; 0 for none."""
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0


def _name(made: Json) -> str:
    return str(made["metadata"]["name"])


def _label(made: Json, label: str) -> str:
    return str((made["metadata"].get("labels") or {}).get(label, ""))
