"""On which side of the split a conversation or pair falls: where its group already is, else by hash.

What was learned from in one stage must not be held out in another, so the corpus decides for all that come after it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from components.alignment.jsonl import BadLineError
from components.alignment.records import identifier
from components.errors import DamagedArtifact, MissingArtifact
from components.names import SPLITS, TRAIN, VALIDATION


@dataclass(frozen=True)
class Sides:
    """The sides that earlier stages gave to groups, and the share of the other groups to hold out."""

    decided: Mapping[str, str]
    """"train" or "validation" for each group that has a side."""
    validation_share: float

    @classmethod
    def of_corpus(cls, corpus: Path, validation_share: float) -> "Sides":
        """The sides in a corpus's `groups.parquet`. Raises `MissingArtifact` or `DamagedArtifact`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = corpus / "groups.parquet"
        try:
            table = pq.read_table(path, columns=["group", "split"])
        except FileNotFoundError as error:
            raise MissingArtifact(f"{path}: not there; run the step curation") from error
        except pa.ArrowException as error:
            raise DamagedArtifact(f"{path}: not a table of groups ({error}); run the step curation again") from error
        return cls(dict(zip(table["group"].to_pylist(), table["split"].to_pylist(), strict=True)), validation_share)

    def split(self, wishes: Iterable[tuple[str, str | None]]) -> dict[str, str]:
        """The side of each group, given as pairs of a group and the side that a line of it names, if it does.

        An earlier stage's side goes first, then the first one that a line names. Of the other groups those with the smallest
        hashes are held out: one at least, if there are two.
        """
        named: dict[str, str | None] = {}
        for group, wish in wishes:
            named[group] = self.decided.get(group) or named.get(group) or wish
        others = sorted((group for group, side in named.items() if side is None), key=identifier)
        held_out = set(others[: ceil(self.validation_share * len(others))] if len(others) > 1 else ())
        return {group: side or (VALIDATION if group in held_out else TRAIN) for group, side in named.items()}


def wished_side(row: Mapping[str, Any]) -> str | None:
    """The side that a user's line names as its `split`. Raises `BadLineError` for any other word."""
    wish = row.get("split")
    if wish is not None and wish not in SPLITS:
        raise BadLineError(f"`split` is {wish!r}; allowed: {' or '.join(SPLITS)}")
    return wish
