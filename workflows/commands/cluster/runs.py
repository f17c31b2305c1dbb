"""`longrun status`, `logs` and `cancel` of a run on a cluster, and following one, through Flyte."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from components.errors import ClusterError, ConfigError, EndpointError
from components.files import JSON
from infra.cluster.profiles import Profile, read_profile
from infra.settings import Settings
from workflows.commands.runs import AnyRun, LocalRun, Status
from workflows.steps.journal import find_journal, is_name

if TYPE_CHECKING:
    from infra.flyte.runs import FlyteRuns, RunState

POLL_SECONDS = 5.0
"""Between two looks at a run that is followed."""

MAX_FAILED_POLLS = 60
"""Failed looks in a row after which following gives up: five minutes without a connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterRun:
    """A run on a cluster, and where that is."""

    name: str
    """Flyte's name of it: r and the id that it has in the home."""
    profile: Profile

    @property
    def _flyte(self) -> "FlyteRuns":
        from infra.flyte.runs import FlyteRuns

        return FlyteRuns(self.profile)

    def state(self) -> "RunState":
        """The run as Flyte knows it now."""
        return self._flyte.state(self.name)

    def status(self) -> Status:
        """Its phase, and each step with what stands in its way."""
        state = self.state()
        return Status(as_json=as_json(state), lines=state_lines(state))

    def log_lines(self, step: str) -> Iterator[str]:
        """What the driver or a step has printed, and prints until it ends."""
        from infra.flyte.runs import WAITING

        chosen = self.state().step(step)
        if chosen.phase in WAITING:
            why = f": {chosen.problem}" if chosen.problem else ""
            raise ClusterError(f"{chosen.task} of run {self.name} has printed nothing: it is {chosen.phase}{why}")
        return self._flyte.log(self.name, chosen)

    def log_json(self, step: str) -> list[str]:
        """All that the driver or a step has printed when it has ended."""
        return list(self.log_lines(step))

    def cancel(self) -> None:
        """Stop the run. Its published artifacts stay, and the next run reuses them."""
        self._flyte.abort(self.name, "longrun cancel")


def find_run(settings: Settings, run: str, profile: str = "") -> AnyRun:
    """The run on a cluster or of this machine that `run` means.

    A run that another machine has submitted is found by its whole id and the profile.

    Raises:
        ConfigError: `run` is none of this home and no id either.
        ClusterError: its submission was refused.
    """
    name = run.removeprefix("r")
    try:
        journal = find_journal(settings.runs, name)
    except ConfigError:
        if not is_name(name):
            raise
        return ClusterRun(name=f"r{name}", profile=read_profile(settings.home, profile))
    submission = next((event for event in journal.events() if event["event"] in {"submitted", "refused"}), None)
    if submission is None:
        return LocalRun(journal)
    if submission["event"] == "refused":
        raise ClusterError(f"run {journal.name} never started: {submission['message']}")
    return ClusterRun(name=submission["flyte"], profile=read_profile(settings.home, profile or submission["profile"]))


def follow(run: ClusterRun, say: Callable[[str], None], pause: float | None = None) -> "RunState":
    """Say what changes until the run ends; its last state.

    Raises:
        ClusterError: it failed, with the reason and the remedy; or it cannot be reached any more.
    """
    seen: set[str] = set()
    failed_polls = 0
    while True:
        try:
            state, failed_polls = run.state(), 0
        except EndpointError:
            failed_polls += 1
            if failed_polls >= MAX_FAILED_POLLS:
                raise
        else:
            for line in state_lines(state)[1:]:
                if line not in seen:
                    say(line)
            seen.update(state_lines(state))
            if state.done:
                break
        time.sleep(POLL_SECONDS if pause is None else pause)
    say(state_lines(state)[0])
    if state.failed:
        raise failure(state)
    return state


def failure(state: "RunState") -> ClusterError:
    """The error that ended a run, with its own class."""
    from infra.flyte.failures import explained

    step = state.problem
    if step is None:
        return ClusterError(f"run {state.run} {state.phase}; see {state.url}")
    meaning = explained(step.problem)
    kind = meaning[0] if meaning else ClusterError
    remedy = step.remedy or f"read it with: longrun logs {state.run} {step.task}"
    return kind(f"run {state.run} {state.phase}: {step.task}: {step.problem}; {remedy}")


def state_lines(state: "RunState") -> list[str]:
    """The run in a line, then each step in one, with what stands in its way."""
    lines = [f"run {state.run} {state.phase}  {state.url}"]
    for step in state.steps:
        why = f"  {step.problem}" if step.problem else ""
        remedy = f"  -> {step.remedy}" if step.remedy else ""
        seconds = f"{step.seconds:>8.0f} s" if step.phase in {"succeeded", "failed"} else ""
        lines.append(f"{step.task:<24}{step.phase:<22}{seconds}{why}{remedy}".rstrip())
    return lines


def as_json(state: "RunState") -> dict[str, JSON]:
    """The state as JSON values."""
    return {**asdict(state), "done": state.done, "failed": state.failed}
