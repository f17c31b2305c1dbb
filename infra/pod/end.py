"""Ends a step's process in its pod: disconnects from Ray, and tells the watching process that the work is done."""

import atexit
import contextlib
import functools
import sys
from pathlib import Path

from components.files import write_text
from infra.process_end import own_process
from infra.variables import variable

ENDED = "LONGRUN_ENDED"
"""Variable with the path of a file. The process writes its exit code there once its work and Flyte's runtime have ended."""


@functools.cache
def end_in_order() -> None:
    """Register the exit function of this process, if `infra.pod.watch` started it. Further calls do nothing.

    This must not happen at the end of the step's function: Flyte's runtime sends the step's result or error after that.
    """
    if variable(ENDED):
        own_process()
        atexit.register(_end, Path(variable(ENDED) or ""))


def _end(file: Path) -> None:
    write_text(file, str(_status()))
    if "ray" in sys.modules:
        from infra.ray.local import leave_ray

        with contextlib.suppress(Exception):  # Ray may already be gone
            leave_ray()


def _status() -> int:
    """The exit code: 1 after an uncaught exception, else 0. Flyte's runtime catches errors that it has sent."""
    return int(hasattr(sys, "last_value"))
