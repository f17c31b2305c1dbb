"""Runs on a Flyte service: which step a run waits for, and questions over a real connection."""

import pytest

from components.errors import ClusterError, ConfigError
from infra.cluster.profiles import Profile
from infra.flyte.runs import FlyteRuns, LogMissing, RunState, Step
from tests.fake_cluster.flyte_service import Action, FakeFlyte, pod_failure


def step(action: str, phase: str, problem: str = "", task: str = "") -> Step:
    return Step(action=action, task=task or f"task-{action}", phase=phase, seconds=1.0, problem=problem)


def state(phase: str, *steps: Step) -> RunState:
    return RunState(run="r1", url="http://flyte/r1", phase=phase, steps=steps)


def test_the_problem_of_a_run_is_its_steps_and_the_drivers_own_only_where_there_is_no_other() -> None:
    driver, fine, failed = step("a0", "failed", "a step failed"), step("a1", "succeeded"), step("a2", "failed", "a bug")
    assert state("failed", driver, fine, failed).problem == failed
    assert state("failed", driver, fine).problem == driver
    assert state("running", fine).problem is None


def test_what_was_stopped_because_the_driver_died_is_not_the_reason() -> None:
    driver, stopped = step("a0", "failed", "killed (signal 9)"), step("a1", "aborted", "stopped: its parent is gone")
    assert state("failed", driver, stopped).problem == driver


@pytest.mark.parametrize(
    ("phase", "done", "failed"),
    [
        ("running", False, False),
        ("queued", False, False),
        ("succeeded", True, False),
        ("recovered", True, False),
        ("timed_out", True, True),
        ("aborted", True, True),
    ],
)
def test_a_run_is_done_in_every_phase_that_it_does_not_leave(phase: str, done: bool, failed: bool) -> None:
    assert (state(phase).done, state(phase).failed) == (done, failed)


def test_a_step_is_found_by_its_name_and_the_newest_of_several_is_meant() -> None:
    driver, first, second = step("a0", "running"), step("a1", "failed", task="sft"), step("a2", "running", task="sft")
    known = state("running", driver, first, second)
    assert (known.step(""), known.step("sft")) == (driver, second)
    with pytest.raises(ConfigError, match="unknown step 'stf'") as caught:
        known.step("stf")
    assert "allowed: task-a0, sft; later steps have not started, and reused steps have no task" in str(caught.value)


@pytest.mark.long
def test_the_state_of_a_run_names_each_step_though_a_listing_has_no_names_and_says_its_problem(site: Profile) -> None:
    state = FlyteRuns(site).state("r1")
    assert [(each.task, each.phase, each.seconds, each.since, each.on_ray) for each in state.steps] == [
        ("run_on_cluster", "running", 0.0, 0.0, False),
        ("curation", "succeeded", 7.0, 0.0, True),
        ("pretraining", "queued", 0.0, 99.0, False),
    ]
    assert all(len(each.action) == 25 for each in state.steps[1:])
    assert state.problem is not None
    assert state.problem.problem == "[ImagePullBackOff]: Back-off pulling image"
    assert state.problem.remedy.startswith("push the images")


@pytest.mark.long
def test_a_step_that_has_ended_is_asked_for_once(site: Profile, flyte: FakeFlyte) -> None:
    runs = FlyteRuns(site)
    assert runs.state("r1") == runs.state("r1")
    asked = [request.action_id.name for request in flyte.requests("get_action_details")]
    assert asked.count(flyte.actions[1].digest) == 1
    assert asked.count("a0") == 2


@pytest.mark.long
def test_each_attempt_of_a_step_has_its_say_and_the_log_is_that_of_the_newest(site: Profile, flyte: FakeFlyte) -> None:
    flyte.actions[1] = Action("curation", task="longrun-data.curation", earlier_errors=(pod_failure(137),))
    flyte.actions[2] = Action("pretraining", task="longrun-train.pretraining", phase="FAILED", error=pod_failure(139, "step 8"))
    again, failed = FlyteRuns(site).state("r1").steps[1:]
    assert (again.phase, again.attempt) == ("running", 2)
    assert again.problem == "attempt 2; the previous attempt failed: killed (signal 9), usually because it ran out of memory"
    assert failed.problem == "segmentation fault: step 8"
    list(FlyteRuns(site).log("r1", again))
    assert [request.attempt for request in flyte.requests("tail_logs")] == [2]


@pytest.mark.long
def test_the_log_is_the_drivers_or_a_steps_and_one_whose_pod_is_gone_is_missing_at_once(site: Profile, flyte: FakeFlyte) -> None:
    runs = FlyteRuns(site)
    state = runs.state("r1")
    assert list(runs.log("r1", state.step(""))) == ["driver"]
    assert list(runs.log("r1", state.step("curation"))) == ["shard 1", "shard 2"]
    with pytest.raises(LogMissing, match="no log of pretraining in run r1: the step has no pod at the moment"):
        list(runs.log("r1", state.step("pretraining")))
    assert len(flyte.requests("tail_logs")) == 3


@pytest.mark.long
def test_a_run_is_stopped_with_the_reason_and_an_unknown_one_is_named(site: Profile, flyte: FakeFlyte) -> None:
    FlyteRuns(site).abort("r1", "no longer needed")
    assert [request.reason for request in flyte.requests("abort_run")] == ["no longer needed"]
    assert FlyteRuns(site).state("r1").steps[0].problem == "stopped: no longer needed"
    with pytest.raises(ClusterError, match=r"run not found: longrun/development/r2; check the run's name"):
        FlyteRuns(site).abort("r2", "")


@pytest.mark.long
def test_a_run_that_has_ended_is_not_stopped_because_flyte_would_call_it_aborted(site: Profile, flyte: FakeFlyte) -> None:
    flyte.actions[0].phase = "SUCCEEDED"
    with pytest.raises(ConfigError, match=r"run r1 has already ended \(succeeded\); there is nothing to stop"):
        FlyteRuns(site).abort("r1", "too late")
    assert flyte.requests("abort_run") == []
