"""`longrun status`, `logs` and `cancel` of a run on a cluster, and following one, through Flyte."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from components.errors import ClusterError, ConfigError, EndpointError, StoreError
from infra.cluster.profiles import Profile, read_profile
from infra.outside import STORE, reached
from infra.run_logs import STEP_LOG, RunLogs, worker_log
from infra.settings import Settings
from workflows.commands.cluster.log_lines import lines_after, ours
from workflows.commands.cluster.states import as_json, changes, failure, looked_at, state_lines
from workflows.commands.runs import AnyRun, LocalRun, Status, WantedLog
from workflows.steps.journal import find_journal, is_name

if TYPE_CHECKING:
    from infra.flyte.runs import FlyteRuns, RunState, Step

POLL_SECONDS = 5.0
"""Between two looks at a run that is followed."""

MAX_FAILED_POLLS = 60
"""Failed looks in a row after which following gives up: five minutes without a connection."""


@dataclass(frozen=True, kw_only=True)
class ClusterRun:
    """A run on a cluster, and where that is."""

    name: str
    """Flyte's name of it: r and the id that it has in the home."""
    profile: Profile
    settings: Settings

    @cached_property
    def _flyte(self) -> "FlyteRuns":
        from infra.flyte.runs import FlyteRuns

        return FlyteRuns(self.profile)

    @contextmanager
    def _store(self) -> Iterator[RunLogs]:
        """The logs of steps in the profile's store, with its address from here and its keys."""
        try:
            with reached(self.profile, (STORE,)):
                yield RunLogs(self.profile.artifact_root, self.settings.home)
        except StoreError as error:
            raise ClusterError(f"the store with the logs of run {self.name} cannot be read from here: {error}") from error

    def state(self) -> "RunState":
        """The run as Flyte knows it now, with what its pods and its logs say of steps that wait or have failed."""
        return looked_at(self._flyte.state(self.name), self.profile, self._own_log)

    def _own_log(self, step: str) -> list[str]:
        with self._store() as logs:
            return list(logs.lines(self.name, step, STEP_LOG))

    def status(self) -> Status:
        """Its phase, and each step with what stands in its way."""
        state = self.state()
        return Status(as_json=as_json(state), lines=state_lines(state))

    def log_lines(self, wanted: WantedLog) -> Iterator[str]:
        """What the driver, a step or a worker of it has printed; the first two also what they print until they end."""
        lines = self._printed(wanted)
        return lines if wanted.everything else ours(lines)

    def log_json(self, wanted: WantedLog) -> list[str]:
        """The same, when it has ended."""
        return list(self.log_lines(wanted))

    def failure(self) -> str:
        """Why the run has failed; empty where it has not, or goes on."""
        state = self.state()
        return str(failure(state)) if state.failed else ""

    def cancel(self) -> None:
        """Stop the run. Its published artifacts stay, and the next run reuses them."""
        self._flyte.abort(self.name, "longrun cancel")

    def _printed(self, wanted: WantedLog) -> Iterator[str]:
        """Lines as they were printed: from the pod, or from the store where the pod is gone or has not the step's own.

        Flyte reads the main container of one pod. In a Ray cluster that is the head's, which prints about Ray alone: the step's
        process is a child of Ray, which keeps its output in files of its own, and `infra.pod.watch` puts it into the store.
        """
        from infra.flyte.runs import ENDED, WAITING

        step = self._flyte.state(self.name).step(wanted.step)
        if wanted.worker is not None:
            return self._kept(step, worker_log(wanted.worker))
        if step.phase in WAITING:
            why = self.state().step(wanted.step).problem
            raise ClusterError(f"{step.task} of run {self.name} has printed nothing: it is {step.phase}{why and f': {why}'}")
        if not step.on_ray:
            return self._of_pod(step)
        return self._kept(step, STEP_LOG) if step.phase in ENDED else self._growing(step)

    def _of_pod(self, step: "Step") -> Iterator[str]:
        from infra.flyte.runs import LogMissing

        try:
            yield from self._flyte.log(self.name, step)
        except LogMissing:
            yield from self._kept(step, STEP_LOG)

    def _growing(self, step: "Step") -> Iterator[str]:
        """Lines of a step's log in the store, where it grows every minute, until the step ends."""
        from infra.flyte.runs import ENDED

        shown: list[str] = []
        ended = False
        with self._store() as logs:
            while not ended:
                ended = self._flyte.state(self.name).step(step.task).phase in ENDED
                now = list(logs.lines(self.name, step.task, STEP_LOG)) if STEP_LOG in logs.names(self.name, step.task) else []
                yield from lines_after(shown, now)
                shown = now
                if not ended:
                    time.sleep(POLL_SECONDS)

    def _kept(self, step: "Step", name: str) -> Iterator[str]:
        """Lines of a log in the store. Raises `ClusterError` where it is not there, or the store cannot be read from here."""
        with self._store() as logs:
            names = logs.names(self.name, step.task)
            if name in names:
                return logs.lines(self.name, step.task, name)
        where, known = f"{self.profile.artifact_root}/logs/{self.name}/{step.task}", ", ".join(names) or "none"
        raise ClusterError(f"{step.task} of run {self.name} has no log {name} in {where}; there are: {known}")


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
        return ClusterRun(name=f"r{name}", profile=read_profile(settings.home, profile), settings=settings)
    submission = next((event for event in journal.events() if event["event"] in {"submitted", "refused"}), None)
    if submission is None:
        return LocalRun(journal)
    if submission["event"] == "refused":
        raise ClusterError(f"run {journal.name} never started: {submission['message']}")
    chosen = read_profile(settings.home, profile or submission["profile"])
    return ClusterRun(name=submission["flyte"], profile=chosen, settings=settings)


def follow(run: ClusterRun, say: Callable[[str], None], pause: float | None = None) -> "RunState":
    """Say what changes until the run ends; its last state.

    Raises:
        ClusterError: it failed, with the reason and the remedy; or it cannot be reached any more.
    """
    state: RunState | None = None
    failed_polls = 0
    while state is None or not state.done:
        try:
            before, state, failed_polls = state, run.state(), 0
        except EndpointError:
            failed_polls += 1
            if failed_polls >= MAX_FAILED_POLLS:
                raise
        else:
            for line in changes(before, state):
                say(line)
        if state is None or not state.done:
            time.sleep(POLL_SECONDS if pause is None else pause)
    say(state_lines(state)[0])
    if state.failed:
        raise failure(state)
    return state
