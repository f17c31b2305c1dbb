"""Checks conversations: each has a question and an answer, each split has enough of them, and no group is in both splits."""

from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import SPLITS, CheckReport
from components.checks import splits, suite
from components.checks.limits import ConversationsLimits
from components.checks.omissions import omitted
from components.checks.own import own_tables
from components.checks.reading import metrics_table
from components.checks.rules import between, has_rows, in_set, median_between, no_duplicates, no_nulls
from components.checks.suite import Table

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("id", "split", "source", "group", "messages", "prompt_characters", "answer_characters")


def check(limits: ConversationsLimits, *, artifact: Path, output: Path) -> CheckReport:
    """Check the conversations at `artifact` and write the report to `output/conversations.html`.

    Raises `MissingArtifact` or `DamagedArtifact` if a metrics table is missing or damaged.
    """
    rows = metrics_table(artifact, "conversations", COLUMNS)
    tables = [
        _conversations(rows, limits),
        splits.counts(
            rows.assign(all="conversations"),
            ("conversations",),
            "all",
            limits.min_conversations_per_split,
            "min_conversations_per_split",
        ),
        splits.groups(rows),
        omitted(artifact, limits.max_omitted_share),
    ]
    return suite.run("conversations", [*tables, *own_tables(limits, artifact)], output)


def _conversations(rows: "pd.DataFrame", limits: ConversationsLimits) -> Table:
    rules = (
        has_rows(),
        no_nulls("id"),
        no_duplicates("id"),
        no_nulls("source"),
        no_nulls("group"),
        in_set("split", SPLITS),
        # At least a question and its answer.
        between("messages", 2),
        between("prompt_characters", 1, limits.max_characters_per_role, fields=("max_characters_per_role",)),
        between("answer_characters", 1, limits.max_characters_per_role, fields=("max_characters_per_role",)),
        median_between(
            "answer_characters",
            limits.min_median_answer_characters,
            limits.max_median_answer_characters,
            fields=("min_median_answer_characters", "max_median_answer_characters"),
        ),
    )
    return Table(name="conversations", rows=rows, key=("id",), rules=rules)
