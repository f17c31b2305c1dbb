"""`longrun status`, `logs`, `cancel` and `--follow` for runs on a cluster, through Flyte."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from components.errors import ClusterError, ConfigError, EndpointError, ExitCode, StoreError
from infra.cluster.profiles import Profile, read_profile
from infra.outside import STORE, reached
from infra.run_logs import STEP_LOG, RunLogs, worker_log
from infra.settings import Settings
from workflows.commands.cluster.log_lines import lines_after, ours
from workflows.commands.cluster.states import as_json, changed, failure, looked_at, state_lines
from workflows.commands.runs import AnyRun, Failure, LocalRun, Status, WantedLog
from workflows.steps.journal import Journal, find_journal, is_name, show
from workflows.steps.journals import BEGUN, LATEST, journals

if TYPE_CHECKING:
    from infra.flyte.runs import FlyteRuns, RunState, Step

POLL_SECONDS = 5.0
"""Seconds between two polls of a run that is followed."""

MAX_FAILED_POLLS = 60
"""Consecutive failed polls after which following gives up: five minutes without a connection."""


@dataclass(frozen=True, kw_only=True)
class ClusterRun:
    """A run on the cluster of a profile."""

    name: str
    """Name of the run in Flyte: r and the id of the run."""
    profile: Profile
    settings: Settings

    @cached_property
    def _flyte(self) -> "FlyteRuns":
        from infra.flyte.runs import FlyteRuns

        return FlyteRuns(self.profile)

    @contextmanager
    def _store(self) -> Iterator[RunLogs]:
        """The step logs in the store of the profile, reached from this machine with the credentials of the profile."""
        try:
            with reached(self.profile, (STORE,)):
                yield RunLogs(self.profile.artifact_root, self.settings.home)
        except StoreError as error:
            raise ClusterError(
                f"cannot read the logs of run {self.name} from the store of profile {self.profile.name}: {error}"
            ) from error

    def state(self) -> "RunState":
        """The current state in Flyte, with reasons from pods and logs for steps that are waiting or have failed."""
        return looked_at(self._flyte.state(self.name), self.profile, self._own_log)

    def _own_log(self, step: str) -> list[str]:
        with self._store() as logs:
            return list(logs.lines(self.name, step, STEP_LOG))

    def status(self) -> Status:
        """The phase of the run and of each step, and what it is waiting for."""
        state = self.state()
        return Status(as_json=as_json(state), lines=state_lines(state))

    def log_lines(self, wanted: WantedLog) -> Iterator[str]:
        """The output of the driver, of a step or of one of its workers; for driver and step, continued until they end."""
        lines = self._printed(wanted)
        return lines if wanted.everything else ours(lines)

    def log_json(self, wanted: WantedLog) -> list[str]:
        """All lines of the log, once it has ended."""
        return list(self.log_lines(wanted))

    def failure(self) -> Failure | None:
        """Why the run has failed; None if it has not failed or is still running."""
        state = self.state()
        if not state.failed:
            return None
        error = failure(state)
        return Failure(message=str(error), exit_code=error.exit_code)

    def cancel(self) -> None:
        """Cancel the run. Its published artifacts are kept, and the next run reuses them."""
        self._flyte.abort(self.name, "longrun cancel")

    def _printed(self, wanted: WantedLog) -> Iterator[str]:
        """The printed lines, from the pod, or from the store if the pod is gone or does not have the output of the step.

        Flyte reads the main container of one pod. In a Ray cluster this is the head, which prints only about Ray itself: the step
        runs in a child process of Ray, which redirects its output to files, and `infra.pod.watch` uploads them to the store.
        """
        from infra.flyte.runs import ENDED, WAITING

        step = self._flyte.state(self.name).step(wanted.step)
        if wanted.worker is not None:
            return self._kept(step, worker_log(wanted.worker))
        if step.phase in WAITING:
            why = self.state().step(wanted.step).problem
            raise ClusterError(f"step {step.task} of run {self.name} has no log yet: it is {step.phase}{why and f': {why}'}")
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
        """New lines of a step's log in the store, which is updated every minute, until the step ends."""
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
        """Lines of a log in the store. Raises `ClusterError` if it does not exist or the store cannot be read."""
        with self._store() as logs:
            names = logs.names(self.name, step.task)
            if name in names:
                return logs.lines(self.name, step.task, name)
        where, known = f"{self.profile.artifact_root}/logs/{self.name}/{step.task}", ", ".join(names) or "none"
        raise ClusterError(f"step {step.task} of run {self.name} has no log {name} in {where}; it has: {known}")


def find_run(settings: Settings, run: str, profile: str = "", step: str = "") -> AnyRun:
    """The run that `run` names, on a cluster or on this machine; with `step`, `latest` is the newest one that has come to it.

    A run that another machine submitted is found by its full id and the profile.

    Raises:
        ConfigError: `run` is neither a run of this home nor a full run id.
        ClusterError: the submission of the run was refused.
    """
    name = run.removeprefix("r")
    try:
        journal = _in_home(settings, name, step)
    except ConfigError:
        if not is_name(name):
            raise
        return ClusterRun(name=f"r{name}", profile=read_profile(settings.home, profile), settings=settings)
    submission = next((event for event in journal.events() if event["event"] in {"submitted", "refused"}), None)
    if submission is None:
        return LocalRun(journal, settings)
    if submission["event"] == "refused":
        raise ClusterError(f"run {journal.name} was not started: {submission['message']}")
    chosen = read_profile(settings.home, profile or submission["profile"])
    return ClusterRun(name=submission["flyte"], profile=chosen, settings=settings)


def _in_home(settings: Settings, name: str, step: str) -> Journal:
    """The journal of a run in the home. Of a run on a cluster the home does not know which steps it has come to."""
    if name == LATEST and step:
        for journal in journals(settings):
            if journal.find(step, BEGUN) or any(event["event"] == "submitted" for event in journal.events()):
                return journal
    return find_journal(settings.runs, name)


def follow(run: ClusterRun, say: Callable[[str], None], pause: float | None = None) -> "RunState":
    """Print changes of the run, and pass them to the listeners of this process, until it ends; its last state.

    Raises:
        LongrunError: the run failed, with the reason and the remedy: a `ClusterError`, or the error of the failed step.
        ClusterError: the cluster can no longer be reached.
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
            for step, line in changed(before, state):
                say(line)
                show("phase", step=step.task, phase=step.phase, problem=step.problem)
        if state is None or not state.done:
            time.sleep(POLL_SECONDS if pause is None else pause)
    say(state_lines(state)[0])
    if state.failed:
        error = failure(state)
        show("finished", failed=True, error=type(error).__name__, message=str(error), exit_code=error.exit_code)
        raise error
    show("finished", failed=False, exit_code=ExitCode.DONE)
    return state
