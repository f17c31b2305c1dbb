"""Notes of a plan: only what a reader must know, with its figures."""

import dataclasses

import pytest

from components.artifacts import Mixture, ModelShape, Plan
from components.flops import scale_of
from components.scaling.laws.published import LAWS, law_values
from components.scaling.planning.notes import TOLERANCE, budget_notes, epoch_notes

LAW = LAWS["deepseek"]
SHAPE = ModelShape(n_layer=4, d_model=128, n_head=4, n_kv_head=4, d_ffn=512, vocab_size=4096, context=256)
OPTIMUM = {"non_embedding_flops_per_token": scale_of(SHAPE, 256, LAW.scale), "batch_tokens": 2048.0, "learning_rate": 1e-3}
PLAN = Plan(
    shape=SHAPE,
    tokens=200 * 2048,
    batch_size=8,
    sequence_length=256,
    steps=200,
    learning_rate=1e-3,
    init_std=0.006,
    warmup_steps=10,
    compute=1e18,
    memory_bytes=0,
    law=OPTIMUM,
)


def notes(**changes: object) -> tuple[str, ...]:
    return budget_notes(dataclasses.replace(PLAN, **changes), LAW, 1e18)  # type: ignore[arg-type]


def test_a_plan_as_the_law_says_needs_no_note() -> None:
    assert notes() == ()


@pytest.mark.parametrize(
    ("factor", "noted"), [(1 + 0.9 * TOLERANCE, False), (1 + 1.1 * TOLERANCE, True), (1 - 1.1 * TOLERANCE, True)]
)
def test_a_difference_is_noted_from_the_tolerance_on(factor: float, noted: bool) -> None:
    assert any("learning rate" in note for note in notes(learning_rate=factor * 1e-3)) is noted


def test_a_difference_is_told_with_both_values_and_their_ratio() -> None:
    assert notes(batch_size=16) == ("tokens in a batch: 4.1e+03, 2 times the law's 2.05e+03",)


def test_a_training_shorter_than_a_batch_and_a_long_warm_up_are_noted() -> None:
    assert notes(tokens=1024) == ("the law's batch of 2.05e+03 tokens is larger than the run of 1024",)
    assert notes(warmup_steps=11) == ("a warm-up of 11 steps is more than 5% of the 200 steps",)


@pytest.mark.parametrize(
    ("compute", "words"),
    [(9.9e16, "embeddings and head cost a larger"), (1e17, ""), (3e20, ""), (3.1e20, "as the paper's"), (1.1e25, "far beyond")],
)
def test_the_ends_of_the_fitted_range_are_within_it(compute: float, words: str) -> None:
    texts = budget_notes(dataclasses.replace(PLAN, compute=compute), LAW, None)
    assert [words in note for note in texts] == ([True] if words else [])


def test_what_a_law_borrows_is_noted_by_name() -> None:
    law = LAWS["kaplan"]
    plan = dataclasses.replace(PLAN, law=law_values(law, 1e18))
    assert "the law kaplan gives no learning rate; deepseek's is used instead" in budget_notes(plan, law, None)


def test_epochs_are_counted_from_the_target_shares() -> None:
    mixture = Mixture(shares={"code": 0.75, "web": 0.25}, epoch_limits={"code": 2, "web": 4})
    assert epoch_notes(1000, mixture, {"code": 300}) == (
        "code: 2.50 epochs of 300 tokens, more than its limit of 2: the surplus goes to the other domains",
        "web: no training tokens, though the mixture gives it a share",
    )
