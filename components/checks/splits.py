"""Tables about the splits, shared by the checks of conversations and of preference pairs."""

from typing import TYPE_CHECKING

from components.artifacts import SPLITS
from components.checks.rules import between
from components.checks.suite import Table

if TYPE_CHECKING:
    import pandas as pd


def counts(rows: "pd.DataFrame", names: tuple[str, ...], column: str, min_rows: int, field: str) -> Table:
    """Requires at least `min_rows` rows in each split for each of `names` and each value that occurs in `column`.

    `field` is the field of the limits that sets `min_rows`.
    """
    import pandas as pd

    wanted = sorted({*rows[column].dropna(), *names})
    table = pd.crosstab(rows[column], rows["split"]).reindex(index=wanted, columns=list(SPLITS), fill_value=0)
    rules = tuple(between(split, min_rows, fields=(field,)) for split in SPLITS)
    return Table(name="counts", rows=table.rename_axis(column).reset_index(), key=(column,), rules=rules)


def groups(rows: "pd.DataFrame") -> Table:
    """Requires that each group is in one split only; otherwise validation would measure what was learned in training."""
    counted = rows.groupby("group", as_index=False).agg(splits=("split", "nunique"))
    return Table(name="groups", rows=counted, key=("group",), rules=(between("splits", 1, 1),))
