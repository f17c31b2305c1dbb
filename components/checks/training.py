"""Checks a training run (pretraining, SFT or DPO): losses are finite and fall, and domains were seen in the planned shares."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Change, Changes, CheckReport, Mixture, TokenIndex, portion_name
from components.checks import suite
from components.checks.limits import PretrainingLimits, TrainingLimits, TuningLimits
from components.checks.omissions import omitted
from components.checks.own import own_tables
from components.checks.reading import arrow_table
from components.checks.rules import between, finite, has_rows
from components.checks.suite import Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COLUMNS = ("step", "loss", "learning_rate", "gradient_norm", "tokens")
MIN_SMOOTHED = 20
"""Minimum steps in a mean of the training loss that is judged: the losses of single batches differ by more than a short training
changes them."""

BETTER = {"answer_loss": "lower", "reward_margin": "higher"}
"""The held-out measures that judge the course of SFT and of DPO, and in which direction they are better."""

ALL = "all"
"""The kind of a measure of all held-out examples together, if there are several kinds."""

TOKENS_OF = "tokens/"
"""Prefix of the columns with the tokens seen so far of each domain, and of each `DOMAIN/LANGUAGE` that has its own share."""


def check(limits: TrainingLimits, *, artifact: Path, output: Path, token_shards: Path | None = None) -> CheckReport:
    """Check the training run that made the checkpoint at `artifact` and write the report to `output/STAGE.html`.

    With `token_shards`, the shards that the run was trained on, the mixture is checked too.

    Raises `MissingArtifact` or `DamagedArtifact` if a file is missing or damaged.
    """
    arrow = arrow_table(artifact, "training", COLUMNS)
    history = arrow.to_pandas()
    changes = Changes.read(artifact).rows if (artifact / Changes.NAME).is_file() else ()
    tables = [_steps(history, limits), _loss(history, limits, held_out=bool(changes)), _figures(arrow)]
    if isinstance(limits, TuningLimits):
        tables += [_held_out(changes, limits), omitted(artifact, limits.max_omitted_share)]
    if token_shards and isinstance(limits, PretrainingLimits):
        tables.append(_mixture(history, token_shards, limits))
    return suite.run(limits.CHECK, [*tables, *own_tables(limits, artifact)], output)


def _steps(history: "pd.DataFrame", limits: TrainingLimits) -> Table:
    """All steps with a finite loss and gradient; `_loss` counts the others, which were skipped."""
    counts = history[["step", "tokens"]]
    ahead = counts.diff().fillna(counts)
    rows = history.assign(step_gain=ahead["step"], token_gain=ahead["tokens"])[_learned(history)]
    rules = (
        has_rows(),
        between("step_gain", 1, 1),
        between("token_gain", 1),
        between("gradient_norm", 0, limits.max_gradient_norm, fields=("max_gradient_norm",)),
        between("learning_rate", 0),
    )
    return Table(name="steps", rows=rows, key=("step",), rules=rules)


def _loss(history: "pd.DataFrame", limits: TrainingLimits, *, held_out: bool) -> Table:
    """The training loss at the start and at the end, smoothed; with held-out measures, those judge the course instead."""
    import pandas as pd

    loss = history["loss"][_learned(history)]
    smoothed = min(max(len(loss) // 10, MIN_SMOOTHED), max(len(loss) // 2, 1))
    first, last = loss.head(smoothed).mean(), loss.tail(smoothed).mean()
    judged = not held_out and smoothed >= MIN_SMOOTHED
    row = {"not_finite_steps": len(history) - len(loss), "first_loss": first, "last_loss": last, "loss_ratio": last / first}
    rules = (
        between("not_finite_steps", 0, limits.max_not_finite_steps, fields=("max_not_finite_steps",)),
        finite("first_loss"),
        finite("last_loss"),
        *([between("loss_ratio", 0, limits.max_loss_ratio, fields=("max_loss_ratio",))] if judged else []),
    )
    return Table(name="loss", rows=pd.DataFrame([row]), key=("first_loss", "last_loss"), rules=rules)


def _held_out(changes: Sequence[Change], limits: TuningLimits) -> Table:
    """The measures of all held-out examples together, and how many of them the training made worse."""
    import pandas as pd

    kinds = {change.kind for change in changes}
    whole = [change for change in changes if change.measure in BETTER and (change.kind == ALL or ALL not in kinds)]
    worse = [change for change in whole if _is_worse(change)]
    words = "; ".join(
        f"{change.measure} {change.before:.4g} before, {change.after:.4g} after "
        f"({change.after_low:.4g} to {change.after_high:.4g})"
        for change in worse or whole
    )
    rule = between("worse_measures", 0, limits.max_worse_measures, fields=("max_worse_measures",))
    rows = pd.DataFrame([{"measures": words or "none", "worse_measures": len(worse)}])
    return Table(name="held out", rows=rows, key=("measures",), rules=(rule,))


def _is_worse(change: Change) -> bool:
    """Whether the whole 95 % confidence interval of the measure after training is worse than the measure before."""
    return change.after_low > change.before if BETTER[change.measure] == "lower" else change.after_high < change.before


def _figures(arrow: "pa.Table") -> Table:
    """Other figures measured during the run, such as the validation loss; null at steps where they were not measured."""
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


def _mixture(history: "pd.DataFrame", token_shards: Path, limits: PretrainingLimits) -> Table:
    """Target and realised share of every domain, and of every `DOMAIN/LANGUAGE` that has its own share."""
    import pandas as pd

    mixture, held = Mixture.read(token_shards), TokenIndex.read(token_shards).training_tokens
    columns = [name for name in history.columns if name.startswith(TOKENS_OF)]
    seen = {name.removeprefix(TOKENS_OF): float(history[name].tail(1).sum()) for name in columns}
    total = sum(tokens for name, tokens in seen.items() if "/" not in name)
    targets = _targets(mixture, held, total)
    names = sorted({*targets, *seen})
    rows = pd.DataFrame(
        {
            "domain": names,
            "target": [targets.get(name, 0.0) for name in names],
            "realised": [seen.get(name, 0.0) / total if total else math.nan for name in names],
        }
    )
    rows["deviation"] = (rows["realised"] - rows["target"]).abs()
    rules = (finite("realised"), between("deviation", 0, limits.max_mixture_deviation, fields=("max_mixture_deviation",)))
    return Table(name="mixture", rows=rows, key=("domain", "target", "realised"), rules=rules)


def _targets(mixture: Mixture, held: Mapping[str, int], total: float) -> dict[str, float]:
    """The share of `total` tokens that each domain, and each language with its own share, gets within the epoch limits."""
    limits = {domain: _max_shares(mixture, domain, held, total) for domain in mixture.shares}
    targets = _capped(mixture.shares, {domain: sum(languages.values()) for domain, languages in limits.items()}, 1.0)
    for domain in mixture.language_shares:
        languages = _capped(mixture.languages(domain), limits[domain], targets[domain])
        targets |= {portion_name(domain, language): share for language, share in languages.items()}
    return targets


def _max_shares(mixture: Mixture, domain: str, held: Mapping[str, int], total: float) -> dict[str, float]:
    """The largest share of `total` tokens that the epoch limit allows each language of a domain.

    A domain without language shares has one entry, named "".
    """
    tokens = {language: held.get(portion_name(domain, language), 0) for language in mixture.languages(domain)}
    return {language: mixture.epoch_limits[domain] * count / max(total, 1) for language, count in tokens.items()}


def _capped(wanted: Mapping[str, float], limit: Mapping[str, float], whole: float) -> dict[str, float]:
    """Divide `whole` in proportion to `wanted`; what exceeds an entry's `limit` is divided among the other entries."""
    capped: set[str] = set()
    while True:
        free = sum(share for name, share in wanted.items() if name not in capped)
        remaining = whole - sum(limit[name] for name in capped)
        shares = {name: limit[name] if name in capped else share * remaining / free for name, share in wanted.items()}
        over = {name for name in shares if shares[name] > limit[name] and name not in capped}
        if not over or capped | over == set(shares):
            return shares
        capped |= over


def _learned(history: "pd.DataFrame") -> Any:
    import numpy as np

    return np.isfinite(history["loss"]) & np.isfinite(history["gradient_norm"])
