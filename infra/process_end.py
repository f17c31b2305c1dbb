"""Ends a process cleanly with the exit code of its work, without crashes of native threads."""

import atexit
import faulthandler
import os
import sys
from collections.abc import Callable
from typing import NoReturn


def run_and_leave(run: Callable[[], int]) -> NoReturn:
    """Call `run` and exit with the code that it returns, or with 1 and a traceback if it raises.

    Threads are joined and exit functions run as usual. Then `os._exit` ends the process without finalizing the interpreter: the
    clients of object stores, Flyte and Ray have native threads (tokio, gRPC, Ray) that Python cannot stop, and one that wakes up
    during finalization would crash the finished process with a segmentation fault.
    """
    faulthandler.enable()
    status = [1]
    # exit functions are called in reverse order of registration
    atexit.register(_leave, status)
    status[0] = run()
    sys.exit(status[0])


def _leave(status: list[int]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status[0])
