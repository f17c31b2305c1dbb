"""Tables on the splits, for the checks of conversations and of preference pairs."""

from typing import TYPE_CHECKING

from components.artifacts import SPLITS
from components.checks.rules import between
from components.checks.suite import Table

if TYPE_CHECKING:
    import pandas as pd


def counts(rows: "pd.DataFrame", names: tuple[str, ...], column: str, min_rows: int) -> Table:
    """How many rows each value of `column`, and each of `names`, has in each split: at least `min_rows`."""
    import pandas as pd

    wanted = sorted({*rows[column].dropna(), *names})
    table = pd.crosstab(rows[column], rows["split"]).reindex(index=wanted, columns=list(SPLITS), fill_value=0)
    rules = tuple(between(split, min_rows) for split in SPLITS)
    return Table(name="counts", rows=table.rename_axis(column).reset_index(), key=(column,), rules=rules)


def groups(rows: "pd.DataFrame") -> Table:
    """In how many splits ("sides") each group is: one, or what validation measures was learned in training."""
    counted = rows.groupby("group", as_index=False).agg(sides=("split", "nunique"))
    return Table(name="groups", rows=counted, key=("group",), rules=(between("sides", 1, 1),))
