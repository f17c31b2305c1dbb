"""Directories of unpublished outputs: those of living processes stay, those of killed processes are deleted."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.ports.unpublished import abandoned, delete_abandoned, output_directory

WRITER = """
import sys
from pathlib import Path
from components.ports.unpublished import output_directory
with output_directory(Path(sys.argv[1]), "curation") as output:
    (output / "shard").write_text("half")
    print("written", flush=True)
    sys.stdin.read()
"""


def test_the_output_of_a_living_process_is_not_abandoned_and_that_of_a_killed_one_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        (directory,) = (tmp_path / "writing").iterdir()
        assert abandoned(tmp_path) == []
        delete_abandoned(directory)
        assert (directory / "output" / "shard").read_text() == "half"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert abandoned(tmp_path) == [directory]
    delete_abandoned(directory)
    assert not directory.exists()


def test_an_output_directory_is_empty_and_gone_at_the_end(tmp_path: Path) -> None:
    with output_directory(tmp_path, "curation") as output:
        assert list(output.iterdir()) == []
        (output / "file").touch()
    assert list((tmp_path / "writing").iterdir()) == []


def test_a_moved_output_leaves_nothing_and_a_failure_neither(tmp_path: Path) -> None:
    with output_directory(tmp_path, "curation") as output:
        output.rename(tmp_path / "published")
    with pytest.raises(RuntimeError), output_directory(tmp_path, "curation"):
        raise RuntimeError
    assert list((tmp_path / "writing").iterdir()) == []
    assert (tmp_path / "published").is_dir()


def test_a_directory_of_an_earlier_version_without_a_lock_is_abandoned(tmp_path: Path) -> None:
    (tmp_path / "writing" / "curation-1").mkdir(parents=True)
    (directory,) = abandoned(tmp_path)
    delete_abandoned(directory)
    assert abandoned(tmp_path) == []
