"""`longrun run --json`: the events of a run as lines of JSON on standard output, and all other output on standard error.

`workflows/scripts.md` documents the events and their fields.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from io import RawIOBase

from workflows.steps.journal import Event, listening


@contextlib.contextmanager
def events_on_standard_output() -> Iterator[None]:
    """Within the block, print each event of this process to standard output, and its other output to standard error.

    File descriptor 1 itself is redirected, because native libraries and child processes print there too.
    """
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "wb", buffering=0) as stream:
        os.dup2(2, 1)
        try:
            with listening(EventLines(stream)):
                yield
        finally:
            sys.stdout.flush()
            os.dup2(stream.fileno(), 1)


class EventLines:
    """Prints each event as one line of JSON, until the stream cannot be written: a run does not depend on who reads it."""

    def __init__(self, stream: RawIOBase) -> None:
        self._stream: RawIOBase | None = stream

    def __call__(self, event: Event) -> None:
        """Print one event."""
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(event).encode() + b"\n")
        except OSError:  # the reader has closed the pipe, or the disk is full
            self._stream = None
