"""Checks a training plan: its figures are positive and consistent, and it notes where the scaling law extrapolates."""

from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import CheckReport, Plan
from components.checks import suite
from components.checks.limits import PlanLimits
from components.checks.own import own_tables
from components.checks.reading import metrics_table
from components.checks.rules import between, finite, has_rows, holds
from components.checks.suite import Table

if TYPE_CHECKING:
    import pandas as pd

FITTED_COMPUTE = (1e17, 3e20)
"""Lowest and highest compute, in FLOPs, on which the paper fitted its laws (section 3.2)."""


def check(limits: PlanLimits, *, artifact: Path, output: Path) -> CheckReport:
    """Check the plan at `artifact` and write the report to `output/plan.html`.

    Raises `MissingArtifact` or `DamagedArtifact` if a file of the plan is missing or damaged.
    """
    tables = [_plan(Plan.read(artifact), limits), _choices(artifact), *own_tables(limits, artifact)]
    return suite.run("plan", tables, output)


def _plan(plan: Plan, limits: PlanLimits) -> Table:
    fitted = FITTED_COMPUTE[0] <= plan.compute <= FITTED_COMPUTE[1]
    rules = (
        *(between(name, 1) for name in ("tokens", "batch_size", "steps")),
        between("sequence_length", 1, plan.shape.context),
        between("unplanned_tokens", 0, plan.batch_size * plan.sequence_length),
        between("learning_rate", 1e-9, limits.max_learning_rate, fields=("max_learning_rate",)),
        between("init_std", 1e-9, 1),
        between("warmup_share", 0, limits.max_warmup_share, fields=("max_warmup_share",)),
        between("compute", 1),
        between("memory_bytes", 1, limits.max_memory_bytes, fields=("max_memory_bytes",)),
        holds("noted", "outside the fitted compute range (1e17 to 3e20 FLOPs), the plan notes that the law extrapolates"),
        *(
            [between("law_ratio", 1 / limits.max_law_ratio, limits.max_law_ratio, critical=False, fields=("max_law_ratio",))]
            if fitted
            else []
        ),
    )
    return Table(name="plan", rows=_row(plan, fitted), key=("steps",), rules=rules)


def _row(plan: Plan, fitted: bool) -> "pd.DataFrame":
    import pandas as pd

    derived = {
        "unplanned_tokens": abs(plan.tokens - plan.steps * plan.batch_size * plan.sequence_length),
        "warmup_share": plan.warmup_steps / max(plan.steps, 1),
        "law_ratio": plan.learning_rate / plan.law["learning_rate"],
        "noted": fitted or any("extrapolat" in note for note in plan.notes),
    }
    names = ("tokens", "batch_size", "sequence_length", "steps", "learning_rate", "init_std", "compute", "memory_bytes")
    return pd.DataFrame([{name: getattr(plan, name) for name in names} | derived])


def _choices(artifact: Path) -> Table:
    rows = metrics_table(artifact, "plan", ("name", "chosen", "law"))
    return Table(name="choices", rows=rows, key=("name",), rules=(has_rows(), finite("chosen"), finite("law", critical=False)))
