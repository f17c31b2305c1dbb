"""Stores the events and series of runs on a cluster next to the artifacts, because a step's pod is deleted soon after it ends.

runs/RUN/POD.jsonl       the events of one pod, one per line
series/RUN/STEP.jsonl    the series of a training run, one line per step (`components.series`)
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.bucket import Bucket

FOLDER, SERIES = "runs", "series"

_THREADS = 16
"""Small objects that are downloaded in parallel."""


@dataclass(frozen=True)
class RunEvents:
    """The events and series of all runs whose artifacts are at `root`, a URL.

    Every method except `offer` and `offer_series` raises `StoreError`.
    """

    root: str

    def offer(self, run: str, pod: str, lines: bytes) -> str:
        """Store a pod's events so far, without retries so that a run does not wait; returns the error message, or an empty
        string."""
        return self._bucket.offer(f"{FOLDER}/{run}/{pod}.jsonl", lines)

    def offer_series(self, run: str, step: str, lines: bytes) -> str:
        """Store the series of a training run so far, as `offer` does."""
        return self._bucket.offer(f"{SERIES}/{run}/{step}.jsonl", lines)

    def series(self, run: str, step: str) -> bytes:
        """The series of a training run; empty if the store has none."""
        return self._bucket.get(f"{SERIES}/{run}/{step}.jsonl")[0] or b""

    def runs(self) -> list[str]:
        """Ids of the runs that have events, oldest first."""
        return sorted(self._bucket.folders(FOLDER))

    def lines(self, run: str) -> list[str]:
        """The events of a run, pod by pod; empty if the store has none of this run."""
        names = sorted(self._bucket.sizes(f"{FOLDER}/{run}"))
        with ThreadPoolExecutor(_THREADS) as threads:
            texts = threads.map(lambda name: self._bucket.get(f"{FOLDER}/{run}/{name}")[0] or b"", names)
            return [line for data in texts for line in data.decode(errors="replace").splitlines()]

    @property
    def _bucket(self) -> "Bucket":
        # imported here: every step's journal imports this module, and must not depend on the code that the bucket imports
        from infra.bucket import Bucket, object_store_endpoint

        return Bucket(self.root, object_store_endpoint(self.root))
