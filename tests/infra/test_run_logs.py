"""Logs of steps beside the artifacts: in a home and in a bucket, listed in a useful order, bounded, and inside their folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import ConfigError
from infra.run_logs import MAX_BYTES, STEP_LOG, RunLogs, shortened, worker_log
from infra.urls import HERE
from tests.infra.s3_server import BUCKET, bucket

RUN, STEP = "20261130-120000-abcd", "pretraining"


@pytest.fixture
def logs(tmp_path: Path) -> RunLogs:
    """Logs in a home."""
    return RunLogs(HERE, tmp_path)


@pytest.fixture
def in_a_bucket(tmp_path: Path) -> Iterator[RunLogs]:
    """Logs on an S3 server."""
    with bucket(tmp_path / "log") as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", url)
        yield RunLogs(f"s3://{BUCKET}/longrun", tmp_path / "nothing")


def _keeps(logs: RunLogs) -> None:
    for name in (worker_log(10), "head/raylet.out", worker_log(2), STEP_LOG):
        logs.put(RUN, STEP, name, f"of {name}\nlast".encode())
    logs.put(RUN, STEP, worker_log(2), b"again")
    assert logs.steps(RUN) == [STEP]
    assert logs.names(RUN, STEP) == ["step.log", "worker-2.log", "worker-10.log", "head/raylet.out"]
    assert list(logs.lines(RUN, STEP, STEP_LOG)) == ["of step.log", "last"]
    assert list(logs.lines(RUN, STEP, worker_log(2))) == ["again"]
    assert logs.steps("another") == logs.names(RUN, "sft") == []
    with pytest.raises(ConfigError, match=r"no log worker-3.log of step pretraining .*existing logs: step.log, worker-2.log"):
        logs.lines(RUN, STEP, worker_log(3))


def test_a_home_keeps_the_logs_of_a_step_and_lists_its_own_first(logs: RunLogs) -> None:
    _keeps(logs)


def test_a_bucket_keeps_them_likewise_and_nothing_lies_on_this_machine(in_a_bucket: RunLogs) -> None:
    _keeps(in_a_bucket)
    assert not in_a_bucket.home.exists()


def test_of_a_long_log_the_beginning_and_the_end_are_kept(logs: RunLogs) -> None:
    data = b"first\n" + b"x" * 2 * MAX_BYTES + b"\nlast"
    logs.put(RUN, STEP, STEP_LOG, data)
    first, *_, last = lines = list(logs.lines(RUN, STEP, STEP_LOG))
    assert (first, last) == ("first", "last")
    assert f"… {MAX_BYTES + 11} bytes left out …" in lines
    assert len(shortened(data)) < MAX_BYTES + 100


@pytest.mark.parametrize("name", ["../other", "/etc/passwd", "head/../../x", "", "head//x", ".hidden", "a\nb"])
def test_no_name_leaves_the_folder_of_logs(logs: RunLogs, name: str) -> None:
    for names in ((name, STEP, STEP_LOG), (RUN, name, STEP_LOG), (RUN, STEP, name)):
        with pytest.raises(ConfigError, match="is no name of a run, step or log"):
            logs.put(*names, data=b"")
