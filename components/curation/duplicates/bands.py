"""LSH bands: how a MinHash signature is divided, and which pairs that finds. Arithmetic alone, so that a plan can show it."""

from collections.abc import Sequence
from dataclasses import dataclass

RECALL = 0.95
"""Minimum share of the pairs right at the threshold that become candidates; of more similar pairs more do."""

SHOWN = tuple(step / 20 for step in range(8, 21))
"""Similarities of the S-curve."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bands:
    """How a signature is divided.

    Two signatures agree at a position with the probability that is their documents' Jaccard similarity s (Broder 1997), and share
    at least one of b bands of r positions with 1 - (1 - s^r)^b (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets,
    section 3.4.2).
    """

    bands: int
    rows: int

    @classmethod
    def of(cls, threshold: float, permutations: int) -> "Bands":
        """The most rows per band, and so the fewest false candidates, that still find a pair at the threshold with `RECALL`."""
        for rows in range(permutations, 1, -1):
            chosen = cls(bands=permutations // rows, rows=rows)
            if chosen.recall(threshold) >= RECALL:
                return chosen
        return cls(bands=permutations, rows=1)

    def recall(self, similarity: float) -> float:
        """Probability that a pair of this similarity becomes a candidate."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)

    def midpoint(self) -> float:
        """The similarity at which half of the pairs become candidates: the middle of the S."""
        return float((1 - 0.5 ** (1 / self.bands)) ** (1 / self.rows))

    def curve(self, similarities: Sequence[float] = SHOWN) -> dict[str, float]:
        """The S-curve: `recall` by similarity."""
        return {f"{similarity:.2f}": round(self.recall(similarity), 6) for similarity in similarities}
