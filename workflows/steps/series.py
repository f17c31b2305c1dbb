"""The series of a run: written by the step that trains, and read by reports and pages, on this machine or from a bucket."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.series import Series, SeriesWriter
from infra.cluster.process_profile import in_pod, profile_of_process
from infra.settings import Settings
from workflows.steps.journal import Journal

if TYPE_CHECKING:
    from infra.run_events import RunEvents

logger = logging.getLogger(__name__)

_UPLOAD_SECONDS = 30.0
"""Minimum seconds between two uploads of a series from a pod."""

_UPLOAD_RATE = 50_000.0
"""Bytes per second that uploads of a series may take on average: a store cannot append, so each upload sends the whole file."""


@dataclass
class StepSeries:
    """The series of a step that is running, in the directory of its run; from a pod also in the store.

    If the file cannot be written, the step continues, and the log says why the series ends.
    """

    journal: Journal
    step: str
    _writer: SeriesWriter | None = field(default=None, init=False)
    _failed: bool = field(default=False, init=False)
    _uploaded: float = field(default=-math.inf, init=False)

    def append(self, step: int, values: Mapping[str, float]) -> Mapping[str, float]:
        """Add figures of a training step; returns those that the series did not have."""
        if self._failed:
            return values
        try:
            new = self._opened().append(step, values)
        except OSError as error:
            self._failed = True
            logger.warning("the series of %s ends at step %d: %s: %s", self.step, step - 1, self._path, error.strerror or error)
            return values
        if in_pod() and time.monotonic() - self._uploaded >= max(_UPLOAD_SECONDS, self._opened().size / _UPLOAD_RATE):
            self._upload()
        return new

    def flush(self) -> None:
        """From a pod, upload the file."""
        if self._writer is not None and in_pod():
            self._upload()

    @property
    def _path(self) -> Path:
        return self.journal.series(self.step)

    def _opened(self) -> SeriesWriter:
        if self._writer is None:
            if not self._path.exists() and (store := _store_of_pod()) is not None:
                # An earlier pod of this step may have begun the series
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.write_bytes(store.series(self.journal.name, self.step))
            self._writer = SeriesWriter(self._path)
        return self._writer

    def _upload(self) -> None:
        store, self._uploaded = _store_of_pod(), time.monotonic()
        if store is not None and (refusal := store.offer_series(self.journal.name, self.step, self._path.read_bytes())):
            logger.warning("the series of %s could not be stored: %s", self.step, refusal)


def series_of(settings: Settings, journal: Journal, step: str) -> Series:
    """The series that a step of this run has written; without steps if it has not trained, or its artifact was reused.

    Raises `StoreError` if the run was on a cluster whose store cannot be reached.
    """
    if settings.profile:
        return Series.parse(_events(settings.artifact_root).series(journal.name, step))
    return Series.read(journal.series(step))


def _store_of_pod() -> "RunEvents | None":
    profile = profile_of_process() if in_pod() else None
    return _events(profile.artifact_root) if profile else None


def _events(root: str) -> "RunEvents":
    # imported here, because the store's client takes 0.1 s to import
    from infra.run_events import RunEvents

    return RunEvents(root)
