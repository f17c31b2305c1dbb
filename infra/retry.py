"""Retries requests while a service is down, with increasing pauses and warnings in the log.

MLflow's own retries are off: they would repeat a `create` whose response was lost, and so create two objects.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from components.errors import LongrunError
from infra.variables import retry_seconds

Result = TypeVar("Result")

logger = logging.getLogger(__name__)
"""Logs a warning while a service does not answer, and when it is back."""

_FIRST_PAUSE, _MAX_PAUSE = 0.25, 5.0
"""Seconds of the first pause, doubled after each attempt, and of the longest pause."""

_WARNING_SECONDS = 30.0
"""Seconds between two warnings about the same wait."""


class TransientError(Exception):
    """A transient failure: no answer, or a 5xx."""


def retry(
    service: str, call: Callable[[], Result], failure: type[LongrunError], *, recover: Callable[[], Result | None] | None = None
) -> Result:
    """Return the result of `call`, retrying it for `$LONGRUN_PATIENCE` seconds while it raises `TransientError`.

    A request whose response was lost may have succeeded. For requests that must not be repeated, `recover` is called before each
    retry to look for the result of an earlier attempt; unless it returns None, that is the result.

    Raises:
        LongrunError: of type `failure` after the timeout; else whatever `call` raises.
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
    """The time since the first failed attempt of one request, its pauses and its warnings."""

    def __init__(self, service: str, failure: type[LongrunError]) -> None:
        self.attempts = 0
        self._service, self._failure = service, failure
        self._timeout, self._started, self._warned = retry_seconds(), time.monotonic(), 0.0

    def pause(self, error: TransientError) -> None:
        """Sleep before the next attempt. Raises `failure` after the timeout."""
        waited = time.monotonic() - self._started
        if waited >= self._timeout:
            raise self._failure(
                f"{self._service} did not answer for {waited:.0f} s ({error}); run the same command again when it is back"
            ) from error
        if not self.attempts or waited - self._warned >= _WARNING_SECONDS:
            self._warned = waited
            outlook = f"retrying for another {self._timeout - waited:.0f} s (Ctrl-C to give up)"
            logger.warning("%s does not answer (%s); %s", self._service, error, outlook)
        time.sleep(min(_FIRST_PAUSE * 2**self.attempts, _MAX_PAUSE, self._timeout - waited))
        self.attempts += 1

    def finish(self) -> None:
        """Log that the service is back, if there was a wait."""
        if self.attempts:
            logger.warning("%s answers again after %.0f s", self._service, time.monotonic() - self._started)
