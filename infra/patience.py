"""Waiting out a service that restarts: the one place that says how long, how often, and what is said meanwhile.

The clients below do not repeat requests blindly: MLflow's own would send a lost `create` again, and end with two of them.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from components.errors import LongrunError
from infra.variables import patience_seconds

Result = TypeVar("Result")

logger = logging.getLogger(__name__)
"""Says that a service is waited for, and that it is back."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two attempts: a server that comes back is noticed soon, and many that wait do not storm it."""

_SAID_AGAIN = 30.0
"""Seconds between two messages about the same wait."""


class Passing(Exception):
    """A failure that may pass by itself: nobody answers, or the answer is that of a server in trouble."""


def wait_out(
    service: str, call: Callable[[], Result], failure: type[LongrunError], *, lost: Callable[[], Result | None] | None = None
) -> Result:
    """What `call` returns, asked again as long as it raises `Passing` and patience lasts (`$LONGRUN_PATIENCE`, in seconds).

    A request whose answer was lost may have been done. So what must not be done twice has `lost`: it looks for what an earlier
    attempt has done, is asked before every further attempt, and what it returns is the result unless it is None.

    Raises:
        LongrunError: a `failure`, when patience ends; else what `call` raises.
    """
    wait = _Wait(service, failure)
    found: Result | None = None
    while True:
        try:
            if wait.attempts and lost:
                found = lost()
            result = call() if found is None else found
        except Passing as error:
            wait.go_on(error)
        else:
            wait.end()
            return result


class _Wait:
    """One wait for a service."""

    def __init__(self, service: str, failure: type[LongrunError]) -> None:
        self.attempts = 0
        self._service, self._failure = service, failure
        self._patience, self._started, self._said = patience_seconds(), time.monotonic(), 0.0

    def go_on(self, error: Passing) -> None:
        """Sleep before the next attempt, or raise."""
        waited = time.monotonic() - self._started
        if waited >= self._patience:
            raise self._failure(
                f"{self._service} did not answer for {waited:.0f} s ({error}); run the same command again when it does"
            ) from error
        if not self.attempts or waited - self._said >= _SAID_AGAIN:
            self._said = waited
            left = f"going on as soon as it does, at most {self._patience - waited:.0f} s more (Ctrl-C to give up)"
            logger.warning("%s does not answer (%s); %s", self._service, error, left)
        time.sleep(min(_FIRST_PAUSE * 2**self.attempts, _LONGEST_PAUSE, self._patience - waited))
        self.attempts += 1

    def end(self) -> None:
        """Say that it is over, if there was a wait."""
        if self.attempts:
            logger.warning("%s answers again after %.0f s", self._service, time.monotonic() - self._started)
