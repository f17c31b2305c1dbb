"""The process that watches a step's: what is kept of its output, and how its end is taken."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import to_toml
from infra.pod.watch import run_of, step_of
from infra.run_logs import RunLogs
from infra.variables import pod_variables
from tests.infra.conftest import sample_profile
from tests.infra.s3_server import BUCKET, bucket
from tests.paths import ROOT

RUNTIME = (
    *(
        "a0",
        "--inputs",
        "s3://b/i",
        "--outputs-path",
        "s3://b/o",
        "--version",
        "v",
        "--run-base-dir",
        "s3://b/r",
        "--run-name",
        "20261130-120000-abcd",
        "--name",
        "47g46j4h",
        "--resolver",
        "r",
    ),
    *("mod", "workflows.pretraining", "instance", "pretraining"),
)
"""The arguments of Flyte's runtime in a pod, as its specification of a task gives them."""

RUN, STEP = "20261130-120000-abcd", "pretraining"

WORK = "import os, signal, sys; from pathlib import Path; from infra.pod.end import ENDED; "


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[RunLogs]:
    """The logs of a profile's store, which stands in the environment as in a pod."""
    with bucket(tmp_path / "log") as url, pytest.MonkeyPatch.context() as patch:
        root = f"s3://{BUCKET}/longrun"
        patch.setenv("AWS_ENDPOINT_URL_S3", url)
        patch.setenv("RAY_TMPDIR", str(tmp_path))
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv(CARRIER, to_toml(sample_profile(artifact_root=root)))
        yield RunLogs(root, tmp_path)


def start(code: str) -> "subprocess.Popen[str]":
    """A step whose process does `code`, with a watch before it."""
    words = [sys.executable, "-m", "infra.pod.watch", sys.executable, "-c", WORK + code, *RUNTIME]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def watched(code: str) -> tuple[int, str]:
    """Exit status and output."""
    process = start(code)
    printed = process.communicate(timeout=120)[0]
    return process.returncode, printed


def test_the_run_and_the_step_stand_in_the_command_of_flytes_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (run_of(RUNTIME), step_of(RUNTIME)) == (RUN, STEP)
    monkeypatch.setenv("RUN_NAME", "of-the-pod")
    assert run_of(["a0", "--run-name", "{{.runName}}"]) == "of-the-pod"


def test_what_a_step_prints_passes_through_and_is_kept_in_the_store(logs: RunLogs) -> None:
    assert watched("print('one'); print('two', file=sys.stderr)") == (0, "one\ntwo\n")
    assert list(logs.lines(RUN, STEP, "step.log")) == ["one", "two"]


def test_a_failed_step_keeps_its_status_and_its_log(logs: RunLogs) -> None:
    status, printed = watched("raise ValueError('a bug')")
    assert status == 1
    assert printed.endswith("ValueError: a bug\n")
    assert list(logs.lines(RUN, STEP, "step.log"))[-1] == "ValueError: a bug"


def test_a_crash_before_the_end_of_the_work_is_a_failure_whose_log_is_kept(logs: RunLogs) -> None:
    assert watched("print('on the way', flush=True); os.kill(os.getpid(), signal.SIGSEGV)")[0] == 128 + signal.SIGSEGV
    assert list(logs.lines(RUN, STEP, "step.log")) == ["on the way"]


def test_a_crash_after_the_work_is_done_does_not_fail_the_step(logs: RunLogs) -> None:
    status, printed = watched("Path(os.environ[ENDED]).write_text('0'); os.kill(os.getpid(), signal.SIGSEGV)")
    assert status == 0
    assert "signal 11 ended the process after its work was done; its exit code 0 counts" in printed
    assert list(logs.lines(RUN, STEP, "step.log"))[-1] in printed


def test_a_stopped_step_is_told_so_and_its_log_is_kept(logs: RunLogs) -> None:
    process = start("print('at work', flush=True); signal.pause()")
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.terminate()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    process.stdout.close()
    assert list(logs.lines(RUN, STEP, "step.log")) == ["at work"]


def test_the_logs_of_ray_are_kept_beside_it_by_the_ranks_of_its_workers(logs: RunLogs, tmp_path: Path) -> None:
    session = tmp_path / "ray" / "session_latest" / "logs"
    session.mkdir(parents=True)
    (session / "worker-aa-01000000-7.out").write_text(":actor_name:W\nlongrun: training worker 1 of 2, process 7\nloss 3\n")
    (session / "worker-aa-01000000-7.err").write_text("RuntimeError: no such luck\n")
    (session / "worker-bb-01000000-8.out").write_text("a shard\n")
    (session / "worker-cc-01000000-9.out").write_text(":job_id:01000000\n")
    (session / "raylet.out").write_text("raylet\n")
    (session / "runtime_env_agent.log").write_text("SECRET=word\n")
    assert watched("pass")[0] == 0
    assert logs.names(RUN, STEP) == ["worker-1.log", "worker-2.log", "head/raylet.out"]
    assert list(logs.lines(RUN, STEP, "worker-1.log"))[-2:] == ["loss 3", "RuntimeError: no such luck"]


def test_a_store_that_refuses_fails_no_step_and_is_told(logs: RunLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CARRIER, to_toml(sample_profile(artifact_root="s3://no-such-bucket/x")))
    status, printed = watched("print('one')")
    assert status == 0
    assert "longrun: logs could not be saved: StoreError: s3://no-such-bucket/x" in printed


def test_the_process_of_the_step_has_its_own_environment(logs: RunLogs) -> None:
    _, printed = watched("import json; print(json.dumps({n: v for n, v in os.environ.items() if n.startswith('LONGRUN')}))")
    assert set(json.loads(printed)) == {CARRIER, "LONGRUN_ENDED"}


def test_flytes_runtime_starts_itself_below_the_watch(logs: RunLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("_F_EXEC_WRAPPER", pod_variables()["_F_EXEC_WRAPPER"])
    monkeypatch.delenv("_F_EXEC_WRAPPED", raising=False)
    ended = subprocess.run([programs / "a0", *RUNTIME[1:]], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "AssertionError: Org is required" in ended.stdout
    assert any("AssertionError: Org is required" in line for line in logs.lines(RUN, STEP, "step.log"))
