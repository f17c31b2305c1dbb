"""The events of runs on a cluster, kept where the artifacts are: each step has a pod of its own, which is gone soon after.

runs/RUN/POD.jsonl       the events that one pod has written, a line each
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.bucket import Bucket

FOLDER = "runs"

_THREADS = 16
"""Small objects that are fetched at once."""


@dataclass(frozen=True)
class RunEvents:
    """The events of all runs whose artifacts are at `root`, a URL. Methods raise `StoreError` where the store refuses."""

    root: str

    def offer(self, run: str, pod: str, lines: bytes) -> str:
        """Keep all that a pod has written so far; why that failed, or nothing: a run does not wait for its events."""
        return self._bucket.offer(f"{FOLDER}/{run}/{pod}.jsonl", lines)

    def runs(self) -> list[str]:
        """Ids of the runs that have events, oldest first."""
        return sorted(self._bucket.folders(FOLDER))

    def lines(self, run: str) -> list[str]:
        """The events of a run, of one pod after the other; none of a run that is not known here."""
        names = sorted(self._bucket.sizes(f"{FOLDER}/{run}"))
        with ThreadPoolExecutor(_THREADS) as threads:
            texts = threads.map(lambda name: self._bucket.get(f"{FOLDER}/{run}/{name}")[0] or b"", names)
            return [line for data in texts for line in data.decode(errors="replace").splitlines()]

    @property
    def _bucket(self) -> "Bucket":
        # every step's journal knows this module, and the bucket knows what reads shards
        from infra.bucket import Bucket, object_store_endpoint

        return Bucket(self.root, object_store_endpoint(self.root))
