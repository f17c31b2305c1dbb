"""Tables on the two sides of the split, for the checks of conversations and of preference pairs."""

from typing import TYPE_CHECKING

from components.checks.rules import between
from components.checks.suite import Table
from components.names import SPLITS

if TYPE_CHECKING:
    import pandas as pd


def counts(rows: "pd.DataFrame", names: tuple[str, ...], column: str, minimum: int) -> Table:
    """How many rows each value of `column` has on each side: at least `minimum` for each of `names`."""
    import pandas as pd

    wanted = sorted({*rows[column].dropna(), *names})
    table = pd.crosstab(rows[column], rows["split"]).reindex(index=wanted, columns=list(SPLITS), fill_value=0)
    found = table.rename_axis(column).reset_index()
    return Table(name="counts", rows=found, key=(column,), rules=tuple(between(split, minimum) for split in SPLITS))


def groups(rows: "pd.DataFrame") -> Table:
    """On how many sides each group lies: one, or what validation measures was learned in training."""
    found = rows.groupby("group", as_index=False).agg(sides=("split", "nunique"))
    return Table(name="groups", rows=found, key=("group",), rules=(between("sides", 1, 1),))
