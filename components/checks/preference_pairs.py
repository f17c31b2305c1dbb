"""Checks preference pairs: lengths are plausible, each split has enough pairs of each kind, and no group is in both splits."""

from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import SPLITS, CheckReport
from components.checks import splits, suite
from components.checks.limits import PreferencePairsLimits
from components.checks.omissions import omitted
from components.checks.own import own_tables
from components.checks.reading import metrics_table
from components.checks.rules import between, has_rows, in_set, no_duplicates, no_nulls
from components.checks.suite import Table

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("author-vs-sample", "right-vs-other", "user")
COLUMNS = ("id", "split", "kind", "group", "prompt_characters", "chosen_characters", "rejected_characters")


def check(limits: PreferencePairsLimits, *, artifact: Path, output: Path) -> CheckReport:
    """Check the preference pairs at `artifact` and write the report to `output/preference_pairs.html`.

    Raises `MissingArtifact` or `DamagedArtifact` if a metrics table is missing or damaged.
    """
    rows = metrics_table(artifact, "preference_pairs", COLUMNS)
    tables = [
        _pairs(rows),
        _kinds(rows, limits),
        splits.counts(rows, (), "kind", limits.min_pairs_per_split, "min_pairs_per_split"),
        splits.groups(rows),
        omitted(artifact, limits.max_omitted_share),
    ]
    return suite.run("preference_pairs", [*tables, *own_tables(limits, artifact)], output)


def _pairs(rows: "pd.DataFrame") -> Table:
    rules = (
        has_rows(),
        no_nulls("id"),
        no_duplicates("id"),
        no_nulls("group"),
        in_set("split", SPLITS),
        in_set("kind", KINDS),
        *(between(name, 1) for name in ("prompt_characters", "chosen_characters", "rejected_characters")),
    )
    return Table(name="pairs", rows=rows, key=("id",), rules=rules)


def _kinds(rows: "pd.DataFrame", limits: PreferencePairsLimits) -> Table:
    measured = rows.assign(
        equal=rows["chosen_characters"] == rows["rejected_characters"],
        ratio=rows["chosen_characters"] / rows["rejected_characters"],
    )
    by_kind = measured.groupby("kind", as_index=False).agg(equal_length_share=("equal", "mean"), length_ratio=("ratio", "median"))
    rules = (
        between("equal_length_share", 0, limits.max_equal_length_share, fields=("max_equal_length_share",)),
        between(
            "length_ratio",
            limits.min_length_ratio,
            limits.max_length_ratio,
            critical=False,
            fields=("min_length_ratio", "max_length_ratio"),
        ),
    )
    return Table(name="kinds", rows=by_kind, key=("kind",), rules=rules)
