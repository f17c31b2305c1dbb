"""The end of a step's process in its pod: Ray is left in order, and who watches is told that everything was done."""

import atexit
import contextlib
import functools
import sys
from pathlib import Path

from components.files import write_text
from infra.variables import variable

ENDED = "LONGRUN_ENDED"
"""Names the file into which the process writes its exit status when its work, its threads and Flyte's runtime have ended."""


@functools.cache
def end_in_order() -> None:
    """Prepare this process for its end, if somebody watches it; once.

    Not at the end of the step's own function: after that, Flyte's runtime sends what the step returned, or why it failed.
    """
    if variable(ENDED):
        atexit.register(_end, Path(variable(ENDED) or ""))


def _end(file: Path) -> None:
    write_text(file, str(_status()))
    if "ray" in sys.modules:
        from infra.ray.local import leave_ray

        with contextlib.suppress(Exception):  # of a Ray that is gone
            leave_ray()


def _status() -> int:
    """What Python is about to end with: it keeps what nobody has caught; Flyte's runtime catches what it has sent."""
    return int(hasattr(sys, "last_value"))
