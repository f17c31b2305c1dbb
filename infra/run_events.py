"""Stores the events of runs on a cluster next to the artifacts, because the pod of a step is deleted soon after it ends.

runs/RUN/POD.jsonl       the events of one pod, one per line
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.bucket import Bucket

FOLDER = "runs"

_THREADS = 16
"""Small objects that are downloaded in parallel."""


@dataclass(frozen=True)
class RunEvents:
    """The events of all runs whose artifacts are at `root`, a URL. Every method except `offer` raises `StoreError`."""

    root: str

    def offer(self, run: str, pod: str, lines: bytes) -> str:
        """Store a pod's events so far, without retries so that a run does not wait; returns the error message, or an empty
        string."""
        return self._bucket.offer(f"{FOLDER}/{run}/{pod}.jsonl", lines)

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
