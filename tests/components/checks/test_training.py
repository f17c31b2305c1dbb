"""Data that breaks each expectation on a training run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Change, Changes, Omissions
from components.checks.limits import DPOLimits, PretrainingLimits, SFTLimits, TuningLimits
from components.checks.training import check
from tests.components.checks.conftest import mostly_omitted, omit

LIMITS = PretrainingLimits()

BREAKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "steps: has rows": ("training", lambda t: t.iloc[:0]),
    "steps: step_gain is 1": ("training", lambda t: t[t["step"] != 30]),
    "steps: token_gain is at least 1": ("training", lambda t: t.assign(tokens=0)),
    "steps: gradient_norm is between 0 and 100": ("training", lambda t: t.assign(gradient_norm=101.0)),
    "steps: learning_rate is at least 0": ("training", lambda t: t.assign(learning_rate=-1.0)),
    "loss: not_finite_steps is 0": ("training", lambda t: t.assign(loss=t["loss"].where(t["step"] != 30))),
    "loss: first_loss is finite": ("training", lambda t: t.assign(loss=float("nan"))),
    "loss: last_loss is finite": ("training", lambda t: t.assign(gradient_norm=float("inf"))),
    "loss: loss_ratio is between 0 and 1": ("training", lambda t: t.assign(loss=t["step"] / 10)),
    "figures: measured is at least 1": (
        "training",
        lambda t: t.assign(**{"validation/loss": t["validation/loss"].where(t["step"] < 0)}),
    ),
    "figures: not_finite is 0": (
        "training",
        lambda t: t.assign(**{"validation/loss": t["validation/loss"].replace(4.0, float("inf"))}),
    ),
    "mixture: realised is finite": ("training", lambda t: t.drop(columns=["tokens/code", "tokens/prose"])),
    "mixture: deviation is between 0 and 0.02": (
        "training",
        lambda t: t.assign(**{"tokens/code": 50 * t["step"], "tokens/prose": 50 * t["step"]}),
    ),
}


def test_a_good_artifact_passes(checkpoint: Path, token_shards: Path, output: Path) -> None:
    report = check(LIMITS, artifact=checkpoint, token_shards=token_shards, output=output)
    assert [expectation.name for expectation in report.expectations if not expectation.passed] == []
    assert report.passed
    assert (output / report.report).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_expectation_has_data_that_breaks_it(checkpoint: Path, token_shards: Path, output: Path) -> None:
    report = check(LIMITS, artifact=checkpoint, token_shards=token_shards, output=output)
    assert [expectation.name for expectation in report.expectations] == list(BREAKS)


@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_expectation_is_named(broken: str, checkpoint: Path, token_shards: Path, output: Path, spoil: Any) -> None:
    name, change = BREAKS[broken]
    spoil(checkpoint, name, change)
    report = check(LIMITS, artifact=checkpoint, token_shards=token_shards, output=output)
    assert broken in [expectation.name for expectation in report.expectations if not expectation.passed]


def test_without_token_shards_no_mixture_is_expected(checkpoint: Path, output: Path) -> None:
    report = check(LIMITS, artifact=checkpoint, output=output)
    assert report.passed
    assert not [expectation.name for expectation in report.expectations if expectation.name.startswith("mixture")]


def changes(checkpoint: Path, measure: str, *rows: tuple[str, float, float, float, float]) -> None:
    """Held-out measures: kind, before, after and the interval of after."""
    made = [
        Change(measure=measure, kind=kind, before=before, after=after, after_low=low, after_high=high)
        for kind, before, after, low, high in rows
    ]
    Changes(rows=tuple(made)).write(checkpoint)


@pytest.mark.parametrize("limits", [SFTLimits(), DPOLimits()])
def test_a_training_that_left_out_most_of_a_file_is_refused(
    limits: TuningLimits, checkpoint: Path, output: Path, spoil: Any
) -> None:
    omit(checkpoint, "chats.jsonl", "conversations")
    assert check(limits, artifact=checkpoint, output=output).passed
    spoil(checkpoint, Omissions.NAME, mostly_omitted)
    (failure,) = check(limits, artifact=checkpoint, output=output).failures
    assert failure.name == "left out: at most 50 % of a source is left out"
    assert failure.field == f"checks.{limits.CHECK}.max_omitted_share"
    assert "60 missing-field" in failure.observed


def noise(steps: int, last: float = 0.7) -> Callable[[Any], Any]:
    """A training of so many steps whose loss goes up and down around 0.7, and ends at `last`."""
    return lambda t: t.head(steps).assign(loss=[0.69 + 0.04 * (step % 2) for step in range(steps - 1)] + [last])


@pytest.mark.parametrize("steps", [5, 11, 39])
def test_the_noise_of_a_few_steps_is_not_judged(steps: int, checkpoint: Path, output: Path, spoil: Any) -> None:
    spoil(checkpoint, "training", noise(steps, last=0.9))
    failures = {failure.name for failure in check(DPOLimits(), artifact=checkpoint, output=output).failures}
    assert failures <= {"figures: measured is at least 1"}


def test_a_loss_that_rises_over_many_steps_is_refused_with_the_field_of_its_stage(
    checkpoint: Path, output: Path, spoil: Any
) -> None:
    spoil(checkpoint, "training", lambda t: t.assign(loss=t["step"] / 10))
    (failure,) = check(DPOLimits(), artifact=checkpoint, output=output).failures
    assert failure.field == "checks.dpo.max_loss_ratio"
    assert check(DPOLimits(max_loss_ratio=10), artifact=checkpoint, output=output).passed


def test_held_out_measures_judge_instead_of_the_training_loss(checkpoint: Path, output: Path, spoil: Any) -> None:
    spoil(checkpoint, "training", lambda t: t.assign(loss=t["step"] / 10))
    changes(checkpoint, "reward_margin", ("all", 0.0, 0.4, 0.1, 0.7), ("user", 0.0, -0.5, -0.9, -0.2))
    assert check(DPOLimits(), artifact=checkpoint, output=output).passed


@pytest.mark.parametrize(
    ("limits", "measure", "after", "passes"),
    [
        (DPOLimits(), "reward_margin", (-0.1, -0.3, 0.1), True),
        (DPOLimits(), "reward_margin", (-0.4, -0.7, -0.1), False),
        (SFTLimits(), "answer_loss", (0.2, -0.1, 0.5), True),
        (SFTLimits(), "answer_loss", (0.4, 0.1, 0.7), False),
    ],
)
def test_a_measure_fails_only_if_it_became_worse_beyond_its_interval(
    limits: TuningLimits, measure: str, after: tuple[float, float, float], passes: bool, checkpoint: Path, output: Path
) -> None:
    changes(checkpoint, measure, ("all", 0.0, *after))
    report = check(limits, artifact=checkpoint, output=output)
    assert report.passed == passes
    if not passes:
        (failure,) = report.failures
        assert failure.field == f"checks.{limits.CHECK}.max_worse_measures"
        assert f"{measure} 0 before, {after[0]:g} after" in failure.observed
        assert check(replace(limits, max_worse_measures=1), artifact=checkpoint, output=output).passed


def test_a_nan_among_the_validations_is_not_taken_for_an_unmeasured_one(checkpoint: Path, output: Path) -> None:
    path = checkpoint / "metrics" / "training.parquet"
    table = pq.read_table(path)
    values = [float("nan") if value == 4.0 else value for value in table["validation/loss"].to_pylist()]
    index = table.column_names.index("validation/loss")
    pq.write_table(table.set_column(index, "validation/loss", pa.array(values, pa.float64())), path)
    failures = {
        expectation.name: expectation.observed for expectation in check(LIMITS, artifact=checkpoint, output=output).failures
    }
    assert failures == {"figures: not_finite is 0": "1 of 2 rows: figure validation/loss, not_finite 2"}


def test_steps_that_were_skipped_are_counted_and_allowed_up_to_the_limit(checkpoint: Path, output: Path, spoil: Any) -> None:
    spoil(checkpoint, "training", lambda t: t.assign(loss=t["loss"].where(t["step"] != 30)))
    assert not check(LIMITS, artifact=checkpoint, output=output).passed
    assert check(PretrainingLimits(max_not_finite_steps=1), artifact=checkpoint, output=output).passed


def test_the_target_of_a_domain_ends_at_its_epoch_limit(checkpoint: Path, token_shards: Path, output: Path, spoil: Any) -> None:
    # The 2 000 tokens of prose may be seen once, which is a third of 6 000; code gets the rest.
    spoil(token_shards, "mixture.json", lambda m: m | {"epoch_limits": {"code": 4.0, "prose": 1.0}})
    halves = {"tokens/code": lambda t: 4000 * t["step"] / 60, "tokens/prose": lambda t: 2000 * t["step"] / 60}
    spoil(checkpoint, "training", lambda t: t.assign(**halves))
    assert check(LIMITS, artifact=checkpoint, token_shards=token_shards, output=output).passed


def languages(value: Any) -> Any:
    """Prose in two languages, half of it each."""
    return value | {"language_shares": {"prose": {"en": 0.5, "zh": 0.5}}}


def spans(index: Any) -> Any:
    index["splits"]["train"]["prose"]["languages"] = {"en": {"start": 0, "tokens": 1500}, "zh": {"start": 1500, "tokens": 500}}
    return index


def tokens(**seen: int) -> dict[str, Callable[[Any], Any]]:
    return {f"tokens/{name.replace('_', '/')}": lambda t, count=count: count * t["step"] / 60 for name, count in seen.items()}


@pytest.mark.parametrize(
    ("english", "chinese", "passes"),
    # 75 % of 6 000 tokens are prose; its 500 Chinese tokens may be seen 4 times.
    [(2500, 2000, True), (3000, 1500, False), (2000, 2500, False)],
)
def test_each_language_with_a_share_is_checked_beside_its_domain(
    english: int, chinese: int, passes: bool, checkpoint: Path, token_shards: Path, output: Path, spoil: Any
) -> None:
    spoil(token_shards, "mixture.json", languages)
    spoil(token_shards, "index.json", spans)
    spoil(checkpoint, "training", lambda t: t.assign(**tokens(code=1500, prose=4500, prose_en=english, prose_zh=chinese)))
    report = check(LIMITS, artifact=checkpoint, token_shards=token_shards, output=output)
    assert [failure.name for failure in report.failures] == ([] if passes else ["mixture: deviation is between 0 and 0.02"])


def test_a_language_with_a_share_of_which_nothing_was_counted_is_found(
    checkpoint: Path, token_shards: Path, output: Path, spoil: Any
) -> None:
    spoil(token_shards, "mixture.json", languages)
    spoil(token_shards, "index.json", spans)
    report = check(LIMITS, artifact=checkpoint, token_shards=token_shards, output=output)
    assert "domain prose/en" in report.failures[0].observed
