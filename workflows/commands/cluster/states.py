"""The state of a run on a cluster: from Flyte, completed by its pods, Ray clusters and logs."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from components.errors import ClusterError, LongrunError, error_named
from components.files import JSON
from infra.cluster.failures import explained, is_vague, reason_in_log
from workflows.commands.columns import in_columns

if TYPE_CHECKING:
    from infra.cluster.profiles import Profile
    from infra.cluster.step_state import Observation
    from infra.flyte.runs import RunState, Step

OwnLog = Callable[[str], Sequence[str]]
"""Reads the lines of a step's log from the store, by the name of the step. Raises `LongrunError` if it cannot be read."""

_LAST_LINES = 400
"""Number of lines at the end of a step's log in which the reason of its failure is searched."""


def looked_at(state: "RunState", profile: "Profile", own_log: OwnLog) -> "RunState":
    """The state with reasons from the cluster for steps that are waiting or have failed.

    If the cluster cannot be read, a note says why.
    """
    from infra.cluster.client import ClusterClient
    from infra.cluster.step_state import observations
    from infra.flyte.runs import GOOD

    if state.phase in GOOD:
        return replace(state, steps=tuple(map(_that_counts, state.steps)))
    seen: Mapping[str, Observation] = {}
    note = ""
    try:
        seen = observations(ClusterClient(profile), state.run)
    except ClusterError as error:
        note = f"cannot read the pods of this run from this machine: {error}"
    steps = tuple(_explained(step, seen.get(step.action), own_log) for step in state.steps)
    return replace(state, steps=steps, note=note)


def _that_counts(step: "Step") -> "Step":
    """A step of a run that succeeded. If the step failed, it had published its artifact before, and the driver used that."""
    from infra.flyte.runs import FAILED

    if step.phase not in FAILED:
        return step
    return replace(step, problem=f"{step.problem}, after publishing its artifact, which is used", remedy="")


def _explained(step: "Step", seen: "Observation | None", own_log: OwnLog) -> "Step":
    from infra.flyte.runs import FAILED, WAITING

    if step.phase in FAILED and is_vague(step.problem):
        return _with_problem(step, _logged(step, own_log) or (seen.line if seen else step.problem), step.since)
    if seen is None or (step.phase not in WAITING and (step.phase != "running" or seen.ordinary)):
        return step
    return _with_problem(step, seen.line, seen.since)


def _with_problem(step: "Step", problem: str, since: float) -> "Step":
    meaning = explained(problem)
    return replace(step, problem=problem, remedy=meaning[1] if meaning else "", since=since)


def _logged(step: "Step", own_log: OwnLog) -> str:
    """The reason at the end of the step's log in the store; empty if the log cannot be read from this machine."""
    try:
        return reason_in_log(own_log(step.task)[-_LAST_LINES:])
    except LongrunError:
        return ""


def state_lines(state: "RunState") -> list[str]:
    """One line for the run, then one per step: its phase, since when or how long, and what it is waiting for."""
    rows = [(step.task, _phase(step), _duration(step), _why(step)) for step in state.steps]
    notes = [f"note: {state.note}"] if state.note else []
    return [f"run {state.run} {state.phase}  {state.url}", *in_columns(rows), *notes]


def _why(step: "Step") -> str:
    return step.problem + (f"  -> {step.remedy}" if step.remedy else "")


def _phase(step: "Step") -> str:
    return step.phase if step.attempt == 1 else f"{step.phase}, attempt {step.attempt}"


def _duration(step: "Step") -> str:
    """How long a step took, or how long it has been in its phase."""
    if step.seconds:
        return _time(step.seconds)
    from infra.flyte.runs import ENDED

    return f"for {_time(time.time() - step.since)}" if step.since and step.phase not in ENDED else ""


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def changed(before: "RunState | None", now: "RunState") -> list[tuple["Step", str]]:
    """The steps whose phase, attempt or reason for waiting has changed since `before`, each with its line."""
    lines = state_lines(now)[1 : 1 + len(now.steps)]
    known = {(step.action, step.phase, step.attempt, step.problem) for step in before.steps} if before else set()
    return [
        (step, line)
        for step, line in zip(now.steps, lines, strict=True)
        if (step.action, step.phase, step.attempt, step.problem) not in known
    ]


def as_json(state: "RunState") -> dict[str, JSON]:
    """The state as JSON values."""
    return {**asdict(state), "done": state.done, "failed": state.failed}


def failure(state: "RunState") -> LongrunError:
    """The error that ended a run: of the class that its step raised, or that fits the cause."""
    step = state.problem
    if step is None:
        return ClusterError(f"run {state.run} {state.phase}; see {state.url}")
    remedy = step.remedy or f"read it with: longrun logs {state.run} {step.task}"
    message = f"run {state.run} {state.phase}: {step.task}: {step.problem}; {remedy}"
    meaning = explained(step.problem)
    return meaning[0](message) if meaning else error_named(step.problem.partition(":")[0], message) or ClusterError(message)
