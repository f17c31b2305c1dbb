"""How a process ends: with the status of its work, after its exit functions, and without the teardown of the interpreter."""

import signal
import subprocess
import sys
import time

import psutil
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


GUARDED = """
import subprocess, threading, time
from infra.process_end import end_because, guarded, own_process, saving, wait_if_ending
own_process()
child = subprocess.Popen([sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '600'])"], stderr=-3, stdout=-3)
announced = lambda cause: f"{cause.what} at work"
recorded = lambda cause: print("recorded", cause.number, flush=True)
"""

AT_WORK = "with guarded(announced, recorded):\n    print(child.pid, flush=True)\n    threading.Event().wait()"


def guarded(code: str, *signals: int, prologue: str = GUARDED) -> tuple[int, str, str, list[psutil.Process]]:
    """Status, output and errors of a process that gets signals once it has printed a line, and the processes it had started."""
    words = [sys.executable, "-c", PROLOGUE + prologue + code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(words, cwd=ROOT, text=True, start_new_session=True, **pipes)
    assert process.stdout is not None
    while len(started := psutil.Process(process.pid).children(recursive=True)) < 2:
        time.sleep(0.01)
    process.stdout.readline()
    for number in signals:
        process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    remaining = [child for child in started if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    for child in remaining:
        child.kill()
    return process.returncode, output, errors, remaining


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "terminated"),
        (signal.SIGHUP, "terminated by the end of its terminal"),
    ],
)
def test_a_signal_ends_the_process_and_all_that_it_started_with_one_line(number: int, what: str) -> None:
    line = f"longrun: {what} at work\n"
    assert guarded(AT_WORK, number) == (128 + number, f"recorded {number}\n", line, [])


def test_what_the_process_needs_may_die_as_well() -> None:
    code = AT_WORK.replace("threading.Event().wait()", "sys.stdin.readline(); end_because('Ray died'); threading.Event().wait()")
    assert guarded(code) == (1, "recorded 0\n", "longrun: Ray died at work\n", [])


SAVING = """
saves = threading.Event()
def save(seconds):
    print("saves", flush=True)
    saves.wait(seconds)
    print("saved", flush=True)
with guarded(announced, recorded), saving(save):
    print(flush=True)
    threading.Timer({seconds}, saves.set).start()
    threading.Event().wait()
"""


def test_sigterm_lets_a_training_save_and_repeated_it_changes_nothing() -> None:
    status, output, errors, remaining = guarded(SAVING.format(seconds=1), signal.SIGTERM, signal.SIGTERM)
    assert (status, output.split("\n")[:2], errors, remaining) == (143, ["saves", "saved"], "longrun: terminated at work\n", [])


def test_ctrl_c_does_not_wait_for_a_training_to_save() -> None:
    status, output, errors, remaining = guarded(SAVING.format(seconds=600), signal.SIGTERM, signal.SIGINT)
    assert (status, "saved\n" in output, errors, remaining) == (130, False, "longrun: interrupted at work\n", [])


def test_a_training_that_does_not_save_in_time_is_not_waited_for() -> None:
    code = SAVING.format(seconds=600).replace("guarded(announced, recorded)", "guarded(announced, recorded, 1.0)")
    assert guarded(code, signal.SIGTERM)[0] == 143


def test_what_fails_because_of_the_end_is_not_reported() -> None:
    code = """
with guarded(announced, lambda cause: time.sleep(1)):
    print(flush=True)
    try:
        subprocess.Popen.wait(child)
    finally:
        wait_if_ending()
        print("failed", file=sys.stderr, flush=True)
"""
    assert guarded(code, signal.SIGTERM)[:3] == (143, "", "longrun: terminated at work\n")


def test_a_record_that_does_not_answer_and_one_that_fails_do_not_keep_the_process() -> None:
    never = AT_WORK.replace("recorded)", "lambda cause: threading.Event().wait())")
    assert guarded(never, signal.SIGINT) == (130, "", "longrun: interrupted at work\n", [])
    fails = AT_WORK.replace("recorded)", "lambda cause: 1 / 0)")
    status, _, errors, remaining = guarded(fails, signal.SIGINT)
    assert (status, errors.splitlines()[0], remaining) == (130, "longrun: interrupted at work", [])


def test_a_process_of_others_gets_an_exception_and_goes_on() -> None:
    code = """
try:
    with guarded(announced, recorded):
        print(flush=True)
        threading.Event().wait()
except KeyboardInterrupt:
    print("mine")
"""
    status, output, errors, _ = guarded(code, signal.SIGINT, prologue=GUARDED.replace("\nown_process()", ""))
    assert (status, output, errors) == (0, "mine\n", "")


def test_after_the_block_signals_do_what_they_did() -> None:
    code = "import threading\nfrom infra.process_end import guarded, own_process\nown_process()\n"
    code += "with guarded(str, print):\n    pass\nprint(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    assert ended(code).stdout == "True\n"


def test_sigterm_outside_of_a_block_is_raised() -> None:
    code = """
from infra.process_end import Stopped
def run():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except Stopped as error:
        print(error, error.exit_code)
    return 0
run_and_leave(run)
"""
    assert ended(code).stdout == "terminated 143\n"
