"""The check of a training run, whether pretraining, SFT or DPO: finite, falling, and on the mixture it was told to see."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import CheckReport, Mixture
from components.checks import suite
from components.checks.limits import TrainingLimits
from components.checks.reading import arrow_table, json_file
from components.checks.rules import between, finite, has_rows
from components.checks.suite import Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COLUMNS = ("step", "loss", "learning_rate", "gradient_norm", "tokens")
TOKENS_OF = "tokens/"
"""Prefix of the columns with the tokens seen of each domain so far."""


def check(limits: TrainingLimits, *, artifact: Path, output: Path, token_shards: Path | None = None) -> CheckReport:
    """Check the training that made the checkpoint at `artifact`; the page is `output/training.html`.

    Given the token shards that it learned from, the mixture is checked too. Raises `DamagedArtifact` if a table is missing.
    """
    arrow = arrow_table(artifact, "training", COLUMNS)
    history = arrow.to_pandas()
    tables = [_steps(history, limits), _course(history, limits), _figures(arrow)]
    if token_shards:
        tables.append(_mixture(history, token_shards, limits))
    return suite.run("training", tables, output)


def _steps(history: "pd.DataFrame", limits: TrainingLimits) -> Table:
    """Every step, but for those that were skipped because they were not finite: `_course` counts them."""
    counts = history[["step", "tokens"]]
    ahead = counts.diff().fillna(counts)
    rows = history.assign(step_gain=ahead["step"], token_gain=ahead["tokens"])[_learned(history)]
    rules = (
        has_rows(),
        between("step_gain", 1, 1),
        between("token_gain", 1),
        between("gradient_norm", 0, limits.gradient_norm),
        between("learning_rate", 0),
    )
    return Table(name="steps", rows=rows, key=("step",), rules=rules)


def _course(history: "pd.DataFrame", limits: TrainingLimits) -> Table:
    import pandas as pd

    loss = history["loss"][_learned(history)]
    tenth = max(len(loss) // 10, 1)
    first, last = loss.head(tenth).mean(), loss.tail(tenth).mean()
    row = {"not_finite_steps": len(history) - len(loss), "first_loss": first, "last_loss": last, "loss_ratio": last / first}
    rules = (
        between("not_finite_steps", 0, limits.not_finite_steps),
        finite("first_loss"),
        finite("last_loss"),
        between("loss_ratio", 0, limits.loss_ratio),
    )
    return Table(name="course", rows=pd.DataFrame([row]), key=("first_loss", "last_loss"), rules=rules)


def _figures(arrow: "pa.Table") -> Table:
    """What else was measured on the way, such as validation: null where it was not, else finite."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    real = [field.name for field in arrow.schema if pa.types.is_floating(field.type)]
    names = [name for name in real if name not in ("loss", "gradient_norm")]
    measured = [arrow[name].drop_null() for name in names]
    rows = {
        "figure": names,
        "measured": [len(values) for values in measured],
        "not_finite": [len(values) - (pc.sum(pc.is_finite(values)).as_py() or 0) for values in measured],
    }
    rules = (between("measured", 1), between("not_finite", 0, 0))
    return Table(name="figures", rows=pd.DataFrame(rows), key=("figure",), rules=rules)


def _mixture(history: "pd.DataFrame", token_shards: Path, limits: TrainingLimits) -> Table:
    import pandas as pd

    mixture = Mixture(**json_file(token_shards, "mixture.json"))
    train = json_file(token_shards, "index.json")["splits"]["train"]
    columns = [name for name in history.columns if name.startswith(TOKENS_OF)]
    seen = {name.removeprefix(TOKENS_OF): float(history[name].tail(1).sum()) for name in columns}
    total = sum(seen.values())
    targets = _targets(mixture, {domain: entry["tokens"] for domain, entry in train.items()}, total)
    names = sorted({*targets, *seen})
    rows = pd.DataFrame(
        {
            "domain": names,
            "target": [targets.get(name, 0.0) for name in names],
            "realised": [seen.get(name, 0.0) / total if total else math.nan for name in names],
        }
    )
    rows["deviation"] = (rows["realised"] - rows["target"]).abs()
    rules = (finite("realised"), between("deviation", 0, limits.mixture_deviation))
    return Table(name="mixture", rows=rows, key=("domain", "target", "realised"), rules=rules)


def _targets(mixture: Mixture, available: Mapping[str, int], total: float) -> dict[str, float]:
    """The mixture's shares, where a domain that would exceed its epoch limit in `total` tokens leaves the rest to the others."""
    limit = {name: mixture.epoch_limits[name] * available.get(name, 0) / max(total, 1) for name in mixture.shares}
    capped: set[str] = set()
    while True:
        free = sum(share for name, share in mixture.shares.items() if name not in capped)
        left = 1 - sum(limit[name] for name in capped)
        shares = {name: limit[name] if name in capped else share * left / free for name, share in mixture.shares.items()}
        over = {name for name in shares if shares[name] > limit[name] and name not in capped}
        if not over or capped | over == set(shares):
            return shares
        capped |= over


def _learned(history: "pd.DataFrame") -> Any:
    import numpy as np

    return np.isfinite(history["loss"]) & np.isfinite(history["gradient_norm"])
