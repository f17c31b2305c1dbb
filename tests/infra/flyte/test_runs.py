"""Runs on a Flyte service: what messages mean, which step a run waits for, and questions over a real connection."""

from collections.abc import Iterator

import pytest

from components.errors import ClusterError, ConfigError, ImageMissing, LoginRefused, QuotaExceeded
from infra.cluster.profiles import Profile
from infra.flyte.runs import TOKEN, FlyteRuns, RunState, Step, explained
from tests.fake_cluster.flyte_service import Action, FakeFlyte
from tests.infra.conftest import sample_profile


@pytest.mark.parametrize(
    ("message", "kind", "remedy"),
    [
        ("Back-off pulling image: ImagePullBackOff", ImageMissing, "make images"),
        ("manifest unknown", ImageMissing, "make images"),
        ('pods "x" is forbidden: exceeded quota: longrun', QuotaExceeded, "raise quota.hard"),
        ("failed quota: longrun: must specify limits.cpu", QuotaExceeded, "raise quota.hard"),
        ("0/3 nodes are available: 3 Insufficient nvidia.com/gpu", ClusterError, "wait until nodes are free"),
    ],
)
def test_what_kubernetes_says_of_pods_that_do_not_start_has_a_remedy(message: str, kind: type[ClusterError], remedy: str) -> None:
    meaning = explained(message)
    assert meaning is not None
    assert meaning[0] is kind
    assert remedy in meaning[1]


def test_any_other_message_is_not_explained() -> None:
    assert explained("Started container primary") is None


def step(action: str, phase: str, problem: str = "") -> Step:
    return Step(action=action, task=f"task-{action}", phase=phase, seconds=1.0, problem=problem)


def state(phase: str, *steps: Step) -> RunState:
    return RunState(run="r1", url="http://flyte/r1", phase=phase, steps=steps)


def test_the_problem_of_a_run_is_its_steps_and_the_drivers_own_only_where_there_is_no_other() -> None:
    driver, fine, failed = step("a0", "failed", "a step failed"), step("a1", "succeeded"), step("a2", "failed", "a bug")
    assert state("failed", driver, fine, failed).problem == failed
    assert state("failed", driver, fine).problem == driver
    assert state("running", fine).problem is None


@pytest.mark.parametrize(
    ("phase", "done", "failed"),
    [("running", False, False), ("queued", False, False), ("succeeded", True, False), ("timed_out", True, True)],
)
def test_a_run_is_done_in_every_phase_that_it_does_not_leave(phase: str, done: bool, failed: bool) -> None:
    assert (state(phase).done, state(phase).failed) == (done, failed)


@pytest.fixture
def flyte() -> Iterator[FakeFlyte]:
    """A service with the run r1: its driver, a step that runs, and one whose image is missing."""
    steps = [
        Action("a0"),
        Action("a1", task="longrun-data.curation", seconds=7),
        Action("a2", task="longrun-train.pretraining", phase="QUEUED", events=(("Failed", "ErrImagePull: no such image"),)),
    ]
    logs = {"a0": ["driver\n"], "a1": ["shard 1\n", "shard 2\n"]}
    with FakeFlyte(actions=steps, logs=logs, runs={"r1"}).serving() as service:
        yield service


@pytest.fixture
def site(flyte: FakeFlyte) -> Profile:
    """Its profile, without a token: it listens without TLS."""
    return sample_profile(endpoint=flyte.url, secrets={})


@pytest.mark.long
def test_the_state_of_a_run_is_that_of_each_step_with_its_problem_and_remedy(site: Profile) -> None:
    state = FlyteRuns(site).state("r1")
    assert [(each.task, each.phase, each.seconds) for each in state.steps] == [
        ("run_on_cluster", "running", 0.0),
        ("curation", "running", 7.0),
        ("pretraining", "queued", 0.0),
    ]
    assert state.problem is not None
    assert state.problem.problem == "Failed: ErrImagePull: no such image"
    assert state.problem.remedy.startswith("make images")


@pytest.mark.long
def test_the_log_is_the_drivers_or_a_steps_and_a_step_that_is_unknown_is_refused_with_those_known(site: Profile) -> None:
    runs = FlyteRuns(site)
    assert list(runs.log("r1")) == ["driver"]
    assert list(runs.log("r1", "curation")) == ["shard 1", "shard 2"]
    with pytest.raises(ConfigError, match="has no step 'evaluation' yet; it has: run_on_cluster, curation, pretraining"):
        list(runs.log("r1", "evaluation"))
    with pytest.raises(ClusterError, match="pretraining of run r1 has printed nothing: it is queued"):
        list(runs.log("r1", "pretraining"))


@pytest.mark.long
def test_a_run_is_stopped_with_the_reason_and_an_unknown_one_is_named(site: Profile, flyte: FakeFlyte) -> None:
    FlyteRuns(site).abort("r1", "no longer needed")
    assert [request.reason for request in flyte.requests("abort_run")] == ["no longer needed"]
    with pytest.raises(ClusterError, match=r"run r2 not found; look at the run's name"):
        FlyteRuns(site).abort("r2", "")


@pytest.mark.long
def test_a_token_is_not_sent_where_all_could_read_it(flyte: FakeFlyte) -> None:
    secrets = {TOKEN: "environment:MY_FLYTE_TOKEN"}
    with pytest.raises((ConfigError, LoginRefused), match="http://"):
        FlyteRuns(sample_profile(endpoint=flyte.url, secrets=secrets)).state("r1")
    assert flyte.asked == []
