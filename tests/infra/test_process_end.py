"""How a process ends: with the status of its work, after its exit functions, and without the teardown of the interpreter."""

import signal
import subprocess
import sys

import pytest

from tests.paths import ROOT

PROLOGUE = "import atexit, os, signal, sys\nfrom infra.process_end import run_and_leave\n"

TEARDOWN = """
class Native:
    # what a native library does whose thread wakes up while the interpreter is torn down
    def __del__(self, kill=os.kill, process=os.getpid(), number=signal.SIGSEGV):
        kill(process, number)
native = Native()
"""


def ended(code: str) -> subprocess.CompletedProcess[str]:
    """A process of Python that has ended."""
    return subprocess.run([sys.executable, "-c", PROLOGUE + code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("status", [0, 2])
def test_a_crash_of_the_teardown_does_not_change_how_the_work_ended(status: int) -> None:
    assert ended(TEARDOWN).returncode == -signal.SIGSEGV
    assert ended(f"{TEARDOWN}run_and_leave(lambda: {status})").returncode == status


def test_exit_functions_are_called_and_what_was_printed_is_there() -> None:
    code = "def run():\n    atexit.register(print, 'last')\n    print('first')\n    return 0\nrun_and_leave(run)"
    assert ended(code).stdout == "first\nlast\n"


def test_work_that_raises_ends_with_a_traceback_and_the_status_1() -> None:
    process = ended(f"{TEARDOWN}def run():\n    raise ValueError('a bug')\nrun_and_leave(run)")
    assert (process.returncode, process.stderr.splitlines()[-1]) == (1, "ValueError: a bug")
