"""A file is blamed only for crashes of the process that was reading it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.curation.extraction.crashes import NOTE, CrashCounts, interruptible, new_run

DRIVER = "another-machine:1/run"
"""Id of a run of another driver, whose worker reads the shard."""


def die(directory: Path, file: int, run: str = DRIVER) -> None:
    """Read a file in a process that crashes; with an empty `run`, the driver itself reads it."""
    script = (
        "import os, sys; from pathlib import Path\n"
        "from components.curation.extraction.crashes import CrashCounts, new_run\n"
        "with CrashCounts(Path(sys.argv[1]), sys.argv[2] or new_run()).watched(int(sys.argv[3])):\n"
        "    os._exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(directory), run, str(file)], check=False).returncode == 7


def test_a_file_that_was_being_read_is_blamed(tmp_path: Path) -> None:
    die(tmp_path, 1)
    die(tmp_path, 1)
    counts = CrashCounts(tmp_path, DRIVER)
    assert (counts.of(0), counts.of(1)) == (0, 2)


def test_a_file_that_was_read_is_forgiven(tmp_path: Path) -> None:
    die(tmp_path, 1)
    counts = CrashCounts(tmp_path, DRIVER)
    with counts.watched(1):
        assert counts.of(1) == 1
    counts.close()
    assert CrashCounts(tmp_path, DRIVER).of(1) == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_read_that_raises_is_no_crash(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), CrashCounts(tmp_path, DRIVER).watched(0):
        raise error
    assert CrashCounts(tmp_path, DRIVER).of(0) == 0


def test_workers_of_an_earlier_driver_may_have_been_stopped_with_it(tmp_path: Path) -> None:
    die(tmp_path, 0, "another-machine:1/earlier")
    assert CrashCounts(tmp_path, DRIVER).of(0) == 0


def test_a_driver_that_reads_itself_is_counted_over_all_its_runs(tmp_path: Path) -> None:
    die(tmp_path, 0, run="")
    assert CrashCounts(tmp_path, new_run()).of(0) == 1


def test_counts_of_one_file_outlast_the_crash_at_another(tmp_path: Path) -> None:
    for file in (0, 0, 1):
        die(tmp_path, file)
    counts = CrashCounts(tmp_path, DRIVER)
    assert (counts.of(0), counts.of(1)) == (2, 1)


def test_a_line_that_was_not_written_whole_is_ignored(tmp_path: Path) -> None:
    die(tmp_path, 0)
    with (tmp_path / NOTE).open("ab") as note:
        note.write(b'{"deaths": {"0": 9}, "rea')
    assert CrashCounts(tmp_path, DRIVER).of(0) == 1


def test_every_run_has_a_name_of_its_own() -> None:
    first, second = new_run(), new_run()
    assert first != second
    assert first.rpartition("/")[0] == second.rpartition("/")[0]


def test_termination_raises_inside_the_block_alone() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with interruptible():
            handler = signal.getsignal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert callable(handler)
    with pytest.raises(SystemExit) as end:
        handler(signal.SIGTERM, None)
    assert end.value.code == 128 + signal.SIGTERM


def test_a_handler_that_is_there_already_stays() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
