"""`longrun status`, `logs`, `cancel` and following of a run on a cluster, against a Flyte service over a real connection."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError

import infra.flyte.runs
import infra.flyte.service
from components.errors import (
    CheckFailed,
    ImageMissing,
    LongrunError,
    QuotaExceeded,
)
from infra.cluster.profiles import Profile, write_profile
from infra.run_logs import STEP_LOG, RunLogs, worker_log
from infra.settings import Settings
from tests.fake_cluster.api_server import event
from tests.fake_cluster.flyte_service import Action, FakeFlyte, pod_failure
from tests.fake_cluster.kubernetes_api import FakeCluster
from tests.infra.s3_server import bucket
from tests.workflows.commands.cluster.conftest import RUN, reading
from workflows.commands.cluster import runs as command_cluster

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def kubernetes(registry: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """The API of a cluster without objects, which the kubeconfig names."""
    registry.answers.clear()
    registry.write_kubeconfig(tmp_path / "kubeconfig", "token")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return registry


@pytest.fixture
def running(home: Path, flyte: FakeFlyte) -> str:
    """The id of a run that stands in the home's record, as a submission leaves it."""
    from workflows.steps.journal import open_journal

    record = open_journal(Settings(home=home).runs, RUN)
    record.write("submitted", recipe="tiny", until="", fresh=[], profile="site", flyte=f"r{RUN}", url="")
    flyte.runs.add(f"r{RUN}")
    return RUN


def test_status_shows_each_step_with_its_phase(home: Path, flyte: FakeFlyte, running: str) -> None:
    flyte.actions += [
        Action("1", "longrun-data.curation", "SUCCEEDED", seconds=61),
        Action("2", "longrun-cpu.tokenizer", "QUEUED"),
    ]
    code, text = reading(home, "status", running)
    assert code == 0, text
    first, *steps = text.splitlines()
    assert first == f"run r{RUN} running  {flyte.url}/v2/domain/development/project/longrun/runs/r{RUN}"
    assert [line.split() for line in steps] == [
        ["run_on_cluster", "running"],
        ["curation", "succeeded", "61", "s"],
        ["tokenizer", "queued"],
    ]


def test_status_speaks_json_and_takes_latest_and_prefixes(home: Path, running: str) -> None:
    for name in ("latest", running[:10], f"r{running}"):
        state = json.loads(reading(home, "status", name, "--json")[1])
        assert (state["run"], state["phase"], state["done"]) == (f"r{RUN}", "running", False)


@pytest.mark.parametrize(
    ("events", "remedy"),
    [
        (
            ("pulling", "Failed to pull image registry/x: not found", "[ImagePullBackOff]: Back-off pulling image"),
            "push the images",
        ),
        (('pods "x" is forbidden: exceeded quota: longrun',), "raise quota.hard"),
        (("0/3 nodes are available: 3 Insufficient nvidia.com/gpu",), "wait until a node is free"),
    ],
)
def test_status_says_why_a_step_does_not_start(
    events: tuple[str, ...], remedy: str, home: Path, flyte: FakeFlyte, running: str
) -> None:
    flyte.actions.append(Action("1", "longrun-train.pretraining", "INITIALIZING", events=events))
    line = reading(home, "status", running)[1].splitlines()[-1]
    assert f"{events[-1]}  -> " in line
    assert remedy in line


def test_a_run_that_another_machine_submitted_is_found_by_its_id(home: Path, flyte: FakeFlyte) -> None:
    flyte.runs.add("r20260102-000000-beef")
    assert "running" in reading(home, "status", "r20260102-000000-beef", "--profile", "site")[1]
    _, text = reading(home, "status", "20260102-000000-dead")
    assert "run not found: longrun/development/r20260102-000000-dead; check the run's name" in text


def test_status_says_what_stands_in_events_of_another_pod(
    home: Path, flyte: FakeFlyte, running: str, kubernetes: FakeCluster
) -> None:
    step = Action("1", "longrun-train.pretraining", "INITIALIZING", events=("cluster is creating",), task_type="ray")
    flyte.actions.append(step)
    labels = {"run": f"r{RUN}", "action": step.digest, "attempt": "1"}
    worker = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "workers-x", "namespace": "longrun", "labels": labels},
        "status": {"phase": "Pending"},
    }
    kubernetes.server.add(worker, event(worker, "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu."))
    line = reading(home, "status", running)[1].splitlines()[-1]
    assert line.startswith("pretraining     initializing  for ")
    assert "pod workers-x: FailedScheduling: 0/1 nodes are available: 1 Insufficient cpu.  -> wait until a node is free" in line
    assert "it is initializing: pod workers-x: FailedScheduling" in reading(home, "logs", running, "pretraining")[1]


def test_logs_are_those_of_the_driver_or_of_a_step(home: Path, flyte: FakeFlyte, running: str) -> None:
    flyte.actions.append(Action("1", "longrun-cpu.tokenizer"))
    flyte.logs |= {"a0": ["driver starts", "[bold]as it is[/bold]"], "1": ["[r1][a] [flyte] WARNING x", "merges 12"]}
    assert reading(home, "logs", running) == (0, "driver starts\n[bold]as it is[/bold]\n")
    assert reading(home, "logs", running, "tokenizer") == (0, "merges 12\n")
    assert reading(home, "logs", running, "tokenizer", "--all") == (0, "[r1][a] [flyte] WARNING x\nmerges 12\n")
    assert json.loads(reading(home, "logs", running, "--json")[1]) == ["driver starts", "[bold]as it is[/bold]"]
    assert "unknown step 'sft'; allowed: run_on_cluster, tokenizer; later steps" in reading(home, "logs", running, "sft")[1]


def test_a_step_that_has_not_started_has_no_log(home: Path, flyte: FakeFlyte, running: str) -> None:
    flyte.actions = [Action("a0", phase="QUEUED")]
    assert "has no log yet: it is queued" in reading(home, "logs", running)[1]


def test_the_exit_code_of_logs_says_how_the_run_ended(home: Path, flyte: FakeFlyte, running: str) -> None:
    flyte.logs["a0"] = ["driver starts"]
    flyte.actions = [Action("a0", phase="SUCCEEDED")]
    assert reading(home, "logs", running)[0] == 0
    flyte.actions = [
        Action("a0", phase="FAILED", error="a step failed"),
        Action("1", "longrun-cpu.sft", "FAILED", pod_failure(137)),
    ]
    code, text = reading(home, "logs", running)
    assert code == 1
    assert text.startswith(f"driver starts\nrun r{RUN} failed: sft: killed (signal 9), usually because it ran out of memory")


@pytest.fixture
def store(tmp_path: Path, home: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunLogs]:
    """The logs of steps in a bucket on an S3 server, which the profile names."""
    with bucket(tmp_path / "log") as url:
        write_profile(home, "site", replace(profile, object_store_endpoint=url), replace=True)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        yield RunLogs(profile.artifact_root, home)


def test_logs_of_a_step_and_its_workers_are_read_from_the_store_after_their_pods_are_gone(
    home: Path, flyte: FakeFlyte, running: str, store: RunLogs
) -> None:
    ray = Action("1", "longrun-train.pretraining", "SUCCEEDED", task_type="ray")
    flyte.actions = [Action("a0", phase="SUCCEEDED"), ray, Action("2", "longrun-cpu.tokenizer", "SUCCEEDED")]
    flyte.logs["1"] = ["Ray runtime of the head"]
    store.put(f"r{RUN}", "pretraining", STEP_LOG, b"loss 3.2\n(raylet) noise")
    store.put(f"r{RUN}", "pretraining", worker_log(3), b"of rank 3")
    store.put(f"r{RUN}", "tokenizer", STEP_LOG, b"merges 12")
    assert reading(home, "logs", running, "pretraining") == (0, "loss 3.2\n")
    assert reading(home, "logs", running, "pretraining", "--all") == (0, "loss 3.2\n(raylet) noise\n")
    assert reading(home, "logs", running, "pretraining", "--worker", "3") == (0, "of rank 3\n")
    assert reading(home, "logs", running, "tokenizer") == (0, "merges 12\n")
    where = f"s3://artifacts/longrun/logs/r{RUN}/pretraining"
    message = f"has no log worker-9.log in {where}; it has: step.log, worker-3.log"
    assert message in reading(home, "logs", running, "pretraining", "--worker", "9")[1]


def test_the_log_of_a_step_on_ray_grows_in_the_store_until_the_step_ends(
    home: Path, flyte: FakeFlyte, running: str, store: RunLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_cluster, "POLL_SECONDS", 0)
    trains = Action("1", "longrun-train.pretraining", task_type="ray")
    done = replace(trains, phase="SUCCEEDED")
    flyte.script = [[Action("a0"), each] for each in (trains, trains, trains, done)]
    real, printed = RunLogs.lines, ["step 1\n", "step 2\n"]

    def growing(logs: RunLogs, run: str, step: str, name: str) -> Iterator[str]:
        store.put(run, step, name, "".join(printed).encode())
        printed.append("step 3\n")
        return real(logs, run, step, name)

    monkeypatch.setattr(RunLogs, "lines", growing)
    store.put(f"r{RUN}", "pretraining", STEP_LOG, b"step 1\n")
    assert reading(home, "logs", running, "pretraining") == (0, "step 1\nstep 2\nstep 3\nstep 3\n")


def test_a_worker_is_one_of_a_step_on_a_cluster(home: Path, running: str) -> None:
    from workflows.steps.journal import open_journal

    assert "longrun logs RUN STEP --worker N" in reading(home, "logs", running, "--worker", "1")[1]
    open_journal(Settings(home=home).runs, "20260102-030405-beef").write("run", recipe="tiny")
    assert "is for runs on a cluster" in reading(home, "logs", "20260102-030405-beef", "sft", "--worker", "1")[1]


def test_the_logs_of_a_failed_run_of_this_machine_end_with_its_exit_code_too(home: Path) -> None:
    from workflows.steps.journal import open_journal

    journal = open_journal(Settings(home=home).runs, RUN)
    journal.write("finished", failed=True, message="too few rows", exit_code=3)
    code, text = reading(home, "logs", RUN)
    assert (code, text.splitlines()[-1]) == (3, f"run {RUN} failed: too few rows")
    code, text = reading(home, "logs", RUN, "--json")
    assert (code, json.loads(text)[-1]["failed"]) == (0, True)


def test_the_log_of_a_finished_step_ends_although_the_service_holds_it_open(
    home: Path, flyte: FakeFlyte, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infra.flyte.runs, "IDLE_SECONDS", 0.05)
    flyte.actions = [Action("a0", phase="SUCCEEDED")]
    flyte.silent.add("tail_logs")
    assert reading(home, "logs", running) == (0, "")


def test_cancel_stops_the_run(home: Path, flyte: FakeFlyte, running: str) -> None:
    assert reading(home, "cancel", running) == (0, f"cancelling run r{RUN}\n")
    (request,) = flyte.requests("abort_run")
    assert (request.run_id.name, request.reason) == (f"r{RUN}", "longrun cancel")


def test_a_run_that_has_ended_is_not_cancelled(home: Path, flyte: FakeFlyte, running: str) -> None:
    flyte.actions[0].phase = "SUCCEEDED"
    assert f"run r{RUN} has already ended (succeeded); there is nothing to stop" in reading(home, "cancel", running)[1]
    assert flyte.requests("abort_run") == []


def test_a_run_of_this_machine_has_a_status_and_is_not_cancelled_from_afar(home: Path) -> None:
    from workflows.steps.journal import open_journal

    open_journal(Settings(home=home).runs, RUN).write("run", recipe="tiny")
    assert f"run {RUN}, on this machine: unfinished" in reading(home, "status", RUN)[1]
    assert "stop it with Ctrl-C" in reading(home, "cancel", RUN)[1]


def followed(home: Path) -> list[str]:
    run = command_cluster.find_run(Settings(home=home), "latest")
    assert isinstance(run, command_cluster.ClusterRun)
    said: list[str] = []
    command_cluster.follow(run, said.append, pause=0)
    return said


def test_following_says_each_change_once_until_the_end(home: Path, flyte: FakeFlyte, running: str) -> None:
    curation = Action("1", "longrun-data.curation", "SUCCEEDED", seconds=9)
    flyte.script = [[Action("a0")], [Action("a0")], [Action("a0"), curation], [Action("a0", phase="SUCCEEDED"), curation]]
    said = followed(home)
    assert [line.split()[0] for line in said] == ["run_on_cluster", "curation", "run_on_cluster", "run"]


def test_following_outlives_a_lost_connection(
    home: Path, flyte: FakeFlyte, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infra.flyte.service, "RPC_RETRIES", 0)
    flyte.refusals["list_actions"] = ConnectError(Code.UNAVAILABLE, "restarting")
    real, looks = command_cluster.ClusterRun.state, []

    def look(run: command_cluster.ClusterRun) -> Any:
        looks.append(run)
        if len(looks) == 3:
            del flyte.refusals["list_actions"]
            flyte.actions = [Action("a0", phase="SUCCEEDED")]
        return real(run)

    monkeypatch.setattr(command_cluster.ClusterRun, "state", look)
    assert followed(home)[-1].startswith(f"run r{RUN} succeeded")
    assert len(looks) == 3


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        ("Back-off pulling image: ImagePullBackOff", ImageMissing, "push the images"),
        ("exceeded quota: longrun", QuotaExceeded, "raise quota.hard"),
        ("CheckFailed: vocabulary is too small", CheckFailed, f"longrun logs r{RUN} tokenizer"),
    ],
)
def test_a_failed_run_ends_following_with_the_steps_reason_and_the_remedy(
    error: str, kind: type[LongrunError], remedy: str, home: Path, flyte: FakeFlyte, running: str
) -> None:
    step = Action("1", "longrun-cpu.tokenizer", "FAILED", error=error)
    flyte.actions = [Action("a0", phase="FAILED", error=f"a step failed: {error}"), step]
    with pytest.raises(kind, match="tokenizer: ") as caught:
        followed(home)
    assert type(caught.value) is kind
    assert remedy in str(caught.value)
