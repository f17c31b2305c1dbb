"""Retries while a service restarts: the one place that says how long, how often, and what is logged meanwhile.

The clients do not retry on their own: MLflow's would send a `create` again whose answer alone was lost, and end with two of them.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from components.errors import LongrunError
from infra.variables import retry_seconds

Result = TypeVar("Result")

logger = logging.getLogger(__name__)
"""Says that a service is waited for, and that it is back."""

_FIRST_PAUSE, _MAX_PAUSE = 0.25, 5.0
"""Seconds between two attempts, doubled each time: a server that comes back is noticed soon, and many waiting do not storm it."""

_WARNING_SECONDS = 30.0
"""Between two messages about the same wait."""


class TransientError(Exception):
    """A transient failure: no answer, or that of a server in trouble (5xx)."""


def retry(
    service: str, call: Callable[[], Result], failure: type[LongrunError], *, recover: Callable[[], Result | None] | None = None
) -> Result:
    """What `call` returns; it is called again while it raises `TransientError`, for `$LONGRUN_PATIENCE` seconds.

    A request whose answer was lost may have been served. So what must not be done twice has `recover`: before every further
    attempt it looks for what an earlier one has done, and what it returns is the result unless it is None.

    Raises:
        LongrunError: a `failure`, when the time is over; else what `call` raises.
    """
    wait = _Wait(service, failure)
    recovered: Result | None = None
    while True:
        try:
            if wait.attempts and recover:
                recovered = recover()
            result = call() if recovered is None else recovered
        except TransientError as error:
            wait.pause(error)
        else:
            wait.finish()
            return result


class _Wait:
    """One wait for a service."""

    def __init__(self, service: str, failure: type[LongrunError]) -> None:
        self.attempts = 0
        self._service, self._failure = service, failure
        self._timeout, self._started, self._warned = retry_seconds(), time.monotonic(), 0.0

    def pause(self, error: TransientError) -> None:
        """Sleep before the next attempt, or raise."""
        waited = time.monotonic() - self._started
        if waited >= self._timeout:
            raise self._failure(
                f"{self._service} did not answer for {waited:.0f} s ({error}); run the same command again when it does"
            ) from error
        if not self.attempts or waited - self._warned >= _WARNING_SECONDS:
            self._warned = waited
            outlook = f"going on as soon as it does, at most {self._timeout - waited:.0f} s more (Ctrl-C to give up)"
            logger.warning("%s does not answer (%s); %s", self._service, error, outlook)
        time.sleep(min(_FIRST_PAUSE * 2**self.attempts, _MAX_PAUSE, self._timeout - waited))
        self.attempts += 1

    def finish(self) -> None:
        """Say that it is over, if there was a wait."""
        if self.attempts:
            logger.warning("%s answers again after %.0f s", self._service, time.monotonic() - self._started)
