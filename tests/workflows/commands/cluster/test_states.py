"""Where a run on a cluster is, in lines and as JSON, and the error that its failure is."""

import time
from pathlib import Path

import pytest

from components.errors import ConfigError, ImageMissing, LongrunError, QuotaExceeded, TrainingError
from infra.flyte.runs import RunState, Step
from tests.fake_cluster.kubernetes_api import FakeCluster
from tests.infra.conftest import sample_profile
from workflows.commands.cluster.states import as_json, changed, failure, looked_at, state_lines

RUN = "r20260102-030405-abcd"


def step(task: str, phase: str, **rest: object) -> Step:
    return Step(**{"action": f"digest-of-{task}", "task": task, "phase": phase, "seconds": 0.0, **rest})  # type: ignore[arg-type]


def state(phase: str, *steps: Step, note: str = "") -> RunState:
    return RunState(run=RUN, url="http://flyte/r", phase=phase, steps=steps, note=note)


DRIVER = step("run_on_cluster", "running", action="a0")


def test_columns_are_apart_however_long_a_name_is() -> None:
    long, short = step("a" * 60, "waiting_for_resources", attempt=12), step("sft", "succeeded", seconds=4000.0)
    _, first, second = state_lines(state("running", long, short))
    assert first == f"{'a' * 60}  waiting_for_resources, attempt 12"
    assert second == f"{'sft':<60}  {'succeeded':<33}  66 min"


def test_a_step_that_waits_says_for_what_and_since_when() -> None:
    waits = step("sft", "initializing", since=time.time() - 725, problem="pod x: FailedScheduling: no", remedy="add nodes")
    line = state_lines(state("running", DRIVER, waits))[2]
    assert line == f"{'sft':<14}  initializing  for 12 min  pod x: FailedScheduling: no  -> add nodes"


def test_a_note_is_the_last_line() -> None:
    assert state_lines(state("running", DRIVER, note="no kubeconfig"))[-1] == "note: no kubeconfig"


def test_only_what_has_changed_is_told_again_and_time_that_goes_by_is_no_change() -> None:
    before = state("running", DRIVER, step("sft", "initializing", since=1.0), step("dpo", "queued"))
    now = state("running", DRIVER, step("sft", "initializing", since=2.0), step("dpo", "queued", problem="quota"))
    assert [line.split()[0] for _, line in changed(None, before)] == ["run_on_cluster", "sft", "dpo"]
    assert [line.split() for _, line in changed(before, now)] == [["dpo", "queued", "quota"]]


def test_as_json_has_whether_it_is_done() -> None:
    values = as_json(state("failed", DRIVER))
    assert (values["done"], values["failed"], values["run"]) == (True, True, RUN)


@pytest.mark.parametrize(
    ("problem", "kind", "rest"),
    [
        ("ImagePullBackOff", ImageMissing, f"; read it with: longrun logs {RUN} sft"),
        ("exceeded quota: longrun", QuotaExceeded, f"; read it with: longrun logs {RUN} sft"),
        ("TrainingError: loss is not finite", TrainingError, f"; read it with: longrun logs {RUN} sft"),
    ],
)
def test_a_failure_is_one_line_of_its_own_class(problem: str, kind: type[LongrunError], rest: str) -> None:
    error = failure(state("failed", DRIVER, step("sft", "failed", problem=problem)))
    assert type(error) is kind
    assert str(error) == f"run {RUN} failed: sft: {problem}{rest}"


def test_a_failure_that_nothing_is_known_of_names_flytes_page() -> None:
    assert str(failure(state("failed", DRIVER))) == f"run {RUN} failed; see http://flyte/r"


def no_log(step: str) -> list[str]:
    """The store has no logs."""
    raise ConfigError(f"no log of {step}")


@pytest.fixture
def no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has none."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))


@pytest.mark.usefixtures("no_kubeconfig")
def test_without_a_kubeconfig_it_is_what_flyte_knows_with_a_note() -> None:
    shown = looked_at(state("running", DRIVER, step("sft", "queued")), sample_profile(), no_log)
    assert shown.steps == (DRIVER, step("sft", "queued"))
    assert shown.note.startswith("cannot read the pods of this run from this machine: no usable kubeconfig")


@pytest.mark.usefixtures("no_kubeconfig")
def test_an_exit_code_is_replaced_by_what_the_steps_log_in_the_store_ends_with() -> None:
    text = (
        'Traceback (most recent call last):\n  File "x.py", line 3, in f\nOSError: [Errno 28] No space left on device\nending\n'
    )

    def of_sft(step: str) -> list[str]:
        return {"sft": text.splitlines()}[step]

    for vague in ("exited with code 1", "Flyte does not know the reason yet"):
        (shown,) = looked_at(state("failed", step("sft", "failed", problem=vague)), sample_profile(), of_sft).steps
        assert shown.problem == "OSError: [Errno 28] No space left on device"
    clear = step("sft", "failed", problem="CheckFailed: too few rows")
    assert looked_at(state("failed", clear), sample_profile(), of_sft).steps == (clear,)


def test_in_a_run_that_has_succeeded_a_step_that_failed_had_published_what_counts() -> None:
    failed = step("sft", "failed", problem="segmentation fault", remedy="none")
    shown = looked_at(state("succeeded", DRIVER, failed), sample_profile(), no_log).steps
    assert shown[1].problem == "segmentation fault, after publishing its artifact, which is used"
    assert shown[1].remedy == ""


def test_what_the_cluster_says_of_a_step_that_waits_or_has_failed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {"run": RUN, "attempt": "1"}
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}
    waits = {"name": "a", "namespace": "longrun", "labels": labels | {"action": "digest-of-sft"}}
    evicted = {"name": "b", "namespace": "longrun", "labels": labels | {"action": "digest-of-dpo"}}
    with FakeCluster(answers={}).serving() as fake:
        fake.write_kubeconfig(tmp_path / "kubeconfig", "token")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        fake.server.add(
            {"apiVersion": "v1", "kind": "Pod", "metadata": waits, "status": {"phase": "Pending", "conditions": [full]}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": evicted, "status": {"phase": "Failed", "reason": "Evicted"}},
        )
        failed = step("dpo", "failed", problem="exited with code 1")
        now = state("running", DRIVER, step("sft", "initializing"), failed)
        shown = looked_at(now, sample_profile(context="site"), no_log)
    assert [each.problem for each in shown.steps] == ["", "pod a: Unschedulable: 0/1 nodes are available", "pod b: Evicted"]
    assert shown.steps[1].remedy.startswith("wait until a node is free")
    assert shown.note == ""
