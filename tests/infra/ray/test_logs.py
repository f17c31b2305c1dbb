"""The files of Ray's workers: which are kept, under which number, and the line that says why a worker died."""

import os
from pathlib import Path

import pytest

from infra.ray.logs import WorkerLog, logs_by_number, ray_logs, worker_logs


def write(directory: Path, worker: str, process: int, *, out: str = "", err: str = "", modified_at: float = 100.0) -> None:
    """The two files of a worker, as Ray names them."""
    for kind, text in (("out", out), ("err", err)):
        path = directory / f"worker-{worker}-01000000-{process}.{kind}"
        path.write_text(f":job_id:01000000\n:actor_name:RayTrainWorker\n{text}")
        os.utime(path, (modified_at, modified_at))


def test_a_worker_has_its_output_and_its_errors_in_one_log_without_rays_marks(tmp_path: Path) -> None:
    write(tmp_path, "aa", 7, out="longrun: training worker 3 of 4, process 7\nloss 2\n", err="ValueError: a bug\n")
    write(tmp_path, "bb", 8)
    (log,) = worker_logs(tmp_path)
    assert log == WorkerLog(3, 100.0, b"longrun: training worker 3 of 4, process 7\nloss 2\nValueError: a bug\n")


def test_the_last_worker_of_a_rank_has_its_number_and_the_others_what_is_free(tmp_path: Path) -> None:
    for process, rank, modified_at in ((1, 0, 10.0), (2, 1, 11.0), (3, 0, 20.0), (4, 1, 21.0)):
        write(tmp_path, "aa", process, out=f"longrun: training worker {rank} of 2, process {process}\n", modified_at=modified_at)
    write(tmp_path, "aa", 5, out="a shard\n", modified_at=5.0)
    logs = {number: data.split()[-1] for number, data in logs_by_number(worker_logs(tmp_path)).items()}
    assert logs == {0: b"3", 1: b"4", 2: b"shard", 3: b"1", 4: b"2"}


def test_rays_own_files_are_kept_but_those_that_print_variables(tmp_path: Path) -> None:
    for name in (
        "raylet.out",
        "gcs_server.err",
        "job-driver-raysubmit_x.log",
        "runtime_env_setup-1.log",
        "runtime_env_agent.log",
    ):
        (tmp_path / name).write_text(name)
    (tmp_path / "raylet.err").touch()
    assert sorted(ray_logs(tmp_path)) == ["gcs_server.err", "job-driver-raysubmit_x.log", "raylet.out"]


@pytest.mark.parametrize(
    ("text", "telling"),
    [
        ("loss 2\ntorch.OutOfMemoryError: CUDA out of memory.\n", "torch.OutOfMemoryError: CUDA out of memory."),
        (
            "*** SIGSEGV received at time=1 on cpu 0 ***\nFatal Python error: Segmentation fault\n\n  File x",
            "Fatal Python error: Segmentation fault",
        ),
        ("loss 2\nloss 1\n", ""),
    ],
)
def test_the_line_that_says_why_a_worker_died_is_told(text: str, telling: str) -> None:
    assert WorkerLog(0, 0.0, text.encode()).likely_error_line == telling


def test_a_session_that_is_gone_has_no_logs(tmp_path: Path) -> None:
    assert worker_logs(tmp_path / "none") == []
    assert ray_logs(tmp_path / "none") == {}
