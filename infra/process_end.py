"""How a process of longrun ends: in order, and with the status that its work has earned."""

import atexit
import faulthandler
import os
import sys
from collections.abc import Callable
from typing import NoReturn


def run_and_leave(run: Callable[[], int]) -> NoReturn:
    """End this process with what `run` returns, or with 1 and a traceback where it raises.

    Threads are joined and exit functions run as at every end of Python. Then the process is left without tearing the interpreter
    down: the clients of object stores, of Flyte and of Ray keep native threads (tokio's, gRPC's, Ray's) which nothing can stop
    from Python, and one of them that wakes up in the middle of that kills a process whose work is done with a segmentation fault.
    """
    faulthandler.enable()
    status = [1]
    # what is registered first is called last
    atexit.register(_leave, status)
    status[0] = run()
    sys.exit(status[0])


def _leave(status: list[int]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status[0])
