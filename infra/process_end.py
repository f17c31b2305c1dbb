"""Ends a process: cleanly when its work is done, and in one way whatever stops it before, a signal or the death of Ray.

Such an end happens in a thread of its own, which a signal's handler only wakes: the main thread may hold any lock at that moment,
and may be in the middle of a library that swallows exceptions. The thread lets a training save a checkpoint if the signal leaves
time for that, prints one line, kills all processes that this process has started, records the end, and exits. No thread is asked
to unwind: each would report the loss of Ray in its own way.
"""

import atexit
import contextlib
import ctypes
import faulthandler
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

logger = logging.getLogger(__name__)

SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "terminated by the end of its terminal"}
"""Signals that end a process, with what happened to the process in words."""

GRACE_SECONDS = 30.0
"""Seconds from SIGTERM to SIGKILL if nothing else is known: the default of Kubernetes (terminationGracePeriodSeconds)."""

END_SECONDS = 4.0
"""Maximum seconds from the line about the end to the exit: services that do not answer are given up after that."""

_PR_SET_CHILD_SUBREAPER = 36
"""Option of Linux's prctl(2), in sys/prctl.h."""

_KILL_SECONDS = 1.0
"""Seconds to wait for killed processes to disappear, before looking for further ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """Why a process ends before its work is done."""

    what: str
    """What happened, so that `in STEP` can follow, such as `interrupted`."""
    exit_code: int
    """Exit status of the process."""
    number: int = 0
    """Number of the signal that asked for the end; 0: no signal did."""

    @property
    def leaves_time(self) -> bool:
        """Whether a training may save a checkpoint first. Who presses Ctrl-C wants the process to end at once."""
        return self.number in (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """Raised in the main thread by SIGTERM and SIGHUP outside of `guarded`, as Python raises KeyboardInterrupt for SIGINT."""

    def __init__(self, number: int) -> None:
        super().__init__(SIGNALS[signal.Signals(number)])
        self.exit_code = 128 + number


_terminal: list[int] = []
"""A duplicate of standard error, which later redirections do not affect. Empty: this process does not belong to longrun."""

_guards: list["_Guard"] = []
"""The guard of this process; empty or one element."""

_savers: list[Callable[[float], None]] = []
"""Functions that make a training save a checkpoint within a number of seconds; empty or one element."""

_ending = threading.Event()
"""Set once this process is being ended."""


def run_and_leave(run: Callable[[], int]) -> NoReturn:
    """Call `run` and exit with the code that it returns, or with 1 and a traceback if it raises.

    Threads are joined and exit functions run as usual. Then `os._exit` ends the process without finalizing the interpreter: the
    clients of object stores, Flyte and Ray have native threads (tokio, gRPC, Ray) that Python cannot stop, and one that wakes up
    during finalization would crash the finished process with a segmentation fault.
    """
    own_process()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, _raise_stopped)
    faulthandler.enable()
    status = [1]
    # exit functions are called in reverse order of registration
    atexit.register(_leave, status)
    status[0] = run()
    sys.exit(status[0])


def own_process() -> None:
    """Declare that this process belongs to longrun, so that `guarded` may end it. Other processes, such as a notebook, get
    exceptions instead."""
    if not _terminal:
        _terminal.append(os.dup(2))


def _raise_stopped(number: int, _: object) -> None:
    raise Stopped(number)


def _leave(status: list[int]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status[0])


@contextlib.contextmanager
def guarded(
    announce: Callable[[Cause], str], record: Callable[[Cause], None], grace_seconds: float = GRACE_SECONDS
) -> Iterator[None]:
    """Within the block, end this process in one way whatever stops it. Does nothing outside of the main thread, in a block of
    another guard, or in a process that does not belong to longrun.

    Args:
        announce: returns the line that is printed, and writes what takes no time.
        record: records the end elsewhere, after all child processes are gone; it is given up after `END_SECONDS`.
        grace_seconds: seconds from SIGTERM to SIGKILL.
    """
    if not _terminal or _guards or threading.current_thread() is not threading.main_thread():
        yield
        return
    guard = _Guard(announce, record, grace_seconds)
    _guards.append(guard)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handle_signals()
    try:
        yield
    finally:
        wait_if_ending()
        for number, handler in before.items():
            signal.signal(number, handler)
        _guards.remove(guard)
        guard.dismiss()


def handle_signals() -> None:
    """Let the guard of this process handle signals; call it in the main thread after a library has set handlers of its own."""
    if _guards and threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup does with SIGHUP
                signal.signal(number, _guards[0].on_signal)


def end_because(what: str) -> None:
    """End this process with exit code 1 if it is guarded, because of `what`, such as the death of a process that it needs."""
    for guard in _guards:
        guard.request(Cause(what=what, exit_code=1))


def wait_if_ending() -> None:
    """Never return if this process is being ended: what fails now fails because of that, and must not be reported."""
    if _ending.is_set():
        threading.Event().wait()


@contextlib.contextmanager
def saving(save: Callable[[float], None]) -> Iterator[None]:
    """Within the block, call `save` with a number of seconds before a signal ends this process; it returns when all is saved, or
    after these seconds."""
    _savers.append(save)
    try:
        yield
    finally:
        _savers.remove(save)


def _adopt_orphans() -> None:
    """Make this process the parent of descendants that lose theirs, so that the end finds the workers of a raylet that died."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class _Guard:
    """The thread that ends the process once it is asked to."""

    def __init__(self, announce: Callable[[Cause], str], record: Callable[[Cause], None], grace_seconds: float) -> None:
        import psutil  # imported now, because the end must not wait for the disk

        self._announce, self._record, self._psutil = announce, record, psutil
        _adopt_orphans()
        # The rest of the grace is for the end itself, and for the process that saves the logs of a pod.
        self._save_seconds = max(grace_seconds / 2, grace_seconds - 3 * END_SECONDS)
        self._causes: queue.SimpleQueue[Cause | None] = queue.SimpleQueue()
        threading.Thread(target=self._wait, daemon=True, name="process-end").start()

    def on_signal(self, number: int, _: object) -> None:
        """Handle a signal; safe in any state of the main thread."""
        self.request(Cause(what=SIGNALS[signal.Signals(number)], exit_code=128 + number, number=number))

    def request(self, cause: Cause) -> None:
        """Ask for the end of the process."""
        self._causes.put(cause)

    def dismiss(self) -> None:
        """End the thread."""
        self._causes.put(None)

    def _wait(self) -> None:
        if (cause := self._causes.get()) is None:
            return
        _ending.set()
        if cause.leaves_time and _savers:
            cause = self._saved(cause, _savers[0])
        self._end(cause)

    def _saved(self, cause: Cause, save: Callable[[float], None]) -> Cause:
        """Save a checkpoint in time. Returns the cause of the end: Ctrl-C, or the death of Ray, if it came meanwhile."""
        deadline = time.monotonic() + self._save_seconds

        def save_and_end() -> None:
            with contextlib.suppress(Exception):  # without Ray nothing can be saved; what matters now is to end
                save(self._save_seconds)
            self._causes.put(Cause(what=cause.what, exit_code=cause.exit_code))

        threading.Thread(target=save_and_end, daemon=True).start()
        with contextlib.suppress(queue.Empty):
            while (remaining := deadline - time.monotonic()) > 0:
                later = self._causes.get(timeout=remaining)
                if later is not None and not later.leaves_time:
                    return later if later.number else cause
        return cause

    def _end(self, cause: Cause) -> NoReturn:
        threading.Thread(target=self._exit_late, args=(cause.exit_code,), daemon=True).start()
        try:
            with contextlib.suppress(OSError):  # nobody may be reading any more
                os.write(_terminal[0], f"longrun: {self._announce(cause)}\n".encode())
            self._kill_children()
            self._record(cause)
        except Exception:
            logger.exception("the end of this process could not be recorded")
        finally:
            os._exit(cause.exit_code)

    def _kill_children(self) -> None:
        """Kill all processes that this process has started, and those that they have started."""
        me = self._psutil.Process()
        for child in me.children():  # a stopped process starts no further ones
            self._send(child, signal.SIGSTOP)
        while children := [child for child in me.children(recursive=True) if self._is_alive(child)]:
            for child in children:
                self._send(child, signal.SIGKILL)
            self._psutil.wait_procs(children, timeout=_KILL_SECONDS)

    def _is_alive(self, child: Any) -> bool:
        with contextlib.suppress(self._psutil.NoSuchProcess):
            return bool(child.status() != self._psutil.STATUS_ZOMBIE)
        return False

    def _send(self, child: Any, number: int) -> None:
        with contextlib.suppress(self._psutil.NoSuchProcess):
            child.send_signal(number)

    def _exit_late(self, exit_code: int) -> None:
        """Exit even if a service or a reader of standard error does not answer."""
        time.sleep(END_SECONDS)
        self._kill_children()
        os._exit(exit_code)
