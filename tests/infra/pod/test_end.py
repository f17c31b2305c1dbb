"""What a step's process says of its own end to the process that watches it."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.pod.end import ENDED
from tests.infra.pod.ends import ends
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("code", "status"), [("pass", "0"), ("raise ValueError('a bug')", "1"), ("sys.exit(0)", "0")], ids=["end", "error", "exit"]
)
def test_the_status_is_told_when_everything_else_has_ended(
    code: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDED, str(tmp_path / "status"))
    prologue = "import sys\nfrom infra.pod.end import end_in_order\nend_in_order()\nend_in_order()\n"
    subprocess.run([sys.executable, "-c", prologue + code], cwd=ROOT, check=False, capture_output=True)
    assert (tmp_path / "status").read_text() == status


def test_a_process_that_nobody_watches_ends_as_ever() -> None:
    prologue = "from infra.pod.end import end_in_order\nend_in_order()\n"
    assert subprocess.run([sys.executable, "-c", prologue], cwd=ROOT, check=False).returncode == 0


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("times", [1, pytest.param(100, marks=pytest.mark.slow)])
def test_a_process_whose_training_workers_are_kept_ends_without_a_crash(tmp_path: Path, times: int) -> None:
    import ray

    assert ends(tmp_path, "left", times, ray.get_runtime_context().gcs_address) == {0: times}
    assert [log.read_text() for log in tmp_path.glob("left-*.log")] == [""] * times
