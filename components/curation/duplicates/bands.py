"""LSH bands: how a MinHash signature is divided into bands, and which share of similar pairs that finds. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass

RECALL = 0.95
"""Minimum share of the pairs exactly at the threshold that become candidates; the share is higher for more similar pairs."""

SHOWN = tuple(step / 20 for step in range(8, 21))
"""Similarities at which `Bands.curve` is evaluated by default: 0.4 to 1 in steps of 0.05."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bands:
    """A division of a signature into bands.

    Two documents with Jaccard similarity s agree at a position of their signatures with probability s (Broder 1997). They share
    at least one of b bands of r positions with probability 1 - (1 - s^r)^b (Leskovec, Rajaraman, Ullman: Mining of Massive
    Datasets, section 3.4.2).
    """

    bands: int
    """Number of bands."""
    rows: int
    """Positions of the signature in each band."""

    @classmethod
    def of(cls, threshold: float, permutations: int) -> "Bands":
        """The bands with the most rows, and so the fewest false candidates, whose recall at `threshold` is at least `RECALL`."""
        for rows in range(permutations, 1, -1):
            chosen = cls(bands=permutations // rows, rows=rows)
            if chosen.recall(threshold) >= RECALL:
                return chosen
        return cls(bands=permutations, rows=1)

    def recall(self, similarity: float) -> float:
        """Probability that a pair with this similarity becomes a candidate."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)

    def midpoint(self) -> float:
        """The similarity at which half of the pairs become candidates."""
        return float((1 - 0.5 ** (1 / self.bands)) ** (1 / self.rows))

    def curve(self, similarities: Sequence[float] = SHOWN) -> dict[str, float]:
        """The S-curve of LSH: `recall` by similarity."""
        return {f"{similarity:.2f}": round(self.recall(similarity), 6) for similarity in similarities}
