"""Plans: what the law decides, what choices replace, what the notes say, what is refused."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.artifacts import ModelShape, Plan
from components.errors import ConfigError
from components.flops import non_embedding_flops_per_token, parameters
from components.scaling.config import ScalingConfig
from components.scaling.laws.files import find_law
from components.scaling.planning.planner import Planner
from components.training.config import Choices

SHAPE = ModelShape(n_layer=4, d_model=128, n_head=4, n_kv_head=4, d_ffn=512, vocab_size=4096, context=256)

SEVEN_B = ModelShape(n_layer=30, d_model=4096, n_head=32, n_kv_head=32, d_ffn=11008, vocab_size=102400, context=4096)


def plan_of(config: ScalingConfig, choices: Choices, vocab_size: int = 4096) -> Plan:
    return Planner(config=config, choices=choices, vocab_size=vocab_size, law=find_law(config.law)).plan()


def plan_for(compute: float, choices: Choices, vocab_size: int, law: str = "deepseek") -> Plan:
    return plan_of(ScalingConfig(compute=compute, law=law), choices, vocab_size)


def test_the_papers_7b_gets_its_batch_and_learning_rate_from_the_law() -> None:
    made = plan_for(1e20, Choices(shape=SEVEN_B, tokens=2_000_000_000_000), 102400)
    assert made.compute == pytest.approx(8.456e22, rel=1e-3)
    assert made.batch_size == pytest.approx(2251, abs=2)
    assert made.learning_rate == pytest.approx(4.25e-4, rel=1e-3)
    assert (made.sequence_length, made.init_std, made.warmup_steps) == (4096, 0.006, 2000)
    assert any("8.46e+22, 8.5e+02 times the budget 1e+20" in note for note in made.notes)
    assert any("times the law's optimum" in note for note in made.notes)


@pytest.mark.parametrize("compute", [1e17, 1e18, 1e20, 3e20])
def test_a_budget_within_the_fitted_range_is_spent_by_the_law_and_needs_no_note(compute: float) -> None:
    made = plan_for(compute, Choices(), 102400)
    assert made.compute == pytest.approx(compute, rel=0.01)
    assert made.tokens == pytest.approx(made.law["tokens"], rel=0.1)
    assert made.tokens == made.steps * made.batch_size * made.sequence_length
    assert made.notes == ()


@pytest.mark.parametrize(
    ("compute", "words"),
    [(1e15, "extrapolated, and embeddings"), (1e23, "as the paper's 7B and 67B"), (1e26, "far beyond any model")],
)
def test_outside_the_fitted_range_the_first_note_says_how_the_law_extrapolates(compute: float, words: str) -> None:
    assert words in plan_for(compute, Choices(), 102400).notes[0]


def test_choices_replace_the_law_and_the_law_stands_beside_them() -> None:
    choices = Choices(
        shape=SHAPE, tokens=1_000_000, batch_size=8, sequence_length=128, learning_rate=3e-3, init_std=0.02, warmup_steps=10
    )
    made = plan_for(1e15, choices, 4096)
    assert (made.shape, made.batch_size, made.sequence_length) == (SHAPE, 8, 128)
    assert (made.learning_rate, made.init_std, made.warmup_steps) == (3e-3, 0.02, 10)
    assert made.tokens == 977 * 8 * 128
    assert made.law["learning_rate"] == pytest.approx(0.3118 * (1e6 * non_embedding_flops_per_token(SHAPE, 128)) ** -0.125)


def test_a_chosen_shape_alone_gets_the_tokens_that_the_budget_pays() -> None:
    made = plan_for(1e14, Choices(shape=SHAPE), 4096)
    assert made.tokens == pytest.approx(1e14 / non_embedding_flops_per_token(SHAPE, 256), rel=0.01)
    assert made.sequence_length == 256


def test_chosen_tokens_alone_get_the_shape_that_the_budget_pays() -> None:
    made = plan_for(1e18, Choices(tokens=1_000_000_000), 4096)
    assert non_embedding_flops_per_token(made.shape, 4096) == pytest.approx(1e9, rel=0.1)


def test_no_budget_is_needed_where_shape_and_tokens_are_chosen() -> None:
    made = plan_of(ScalingConfig(compute=None), Choices(shape=SHAPE, tokens=10_000_000))
    assert made.compute == pytest.approx(1e7 * non_embedding_flops_per_token(SHAPE, 256), rel=0.01)
    with pytest.raises(ConfigError, match="compute is None"):
        plan_of(ScalingConfig(compute=None), Choices(shape=SHAPE))


def test_warm_up_is_at_most_a_twentieth_of_the_steps_and_a_longer_choice_is_noted() -> None:
    short = plan_for(1e13, Choices(shape=SHAPE), 4096)
    assert short.warmup_steps == int(0.05 * short.steps)
    longer = plan_for(1e13, Choices(shape=SHAPE, warmup_steps=short.steps // 2), 4096)
    assert any("more than 5% of the" in note for note in longer.notes)
    with pytest.raises(ConfigError, match="warmup_steps is"):
        plan_for(1e13, Choices(shape=SHAPE, warmup_steps=short.steps + 1), 4096)


def test_a_law_batch_larger_than_the_run_is_noted_and_shrinks() -> None:
    made = plan_for(1e10, Choices(shape=SHAPE, sequence_length=16), 4096)
    assert made.batch_size == 1
    assert any("tokens in a batch" in note for note in made.notes)
    tiny = plan_for(1e10, Choices(shape=dataclasses.replace(SHAPE, n_layer=64), sequence_length=1), 4096)
    assert any("larger than the run" in note for note in tiny.notes)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(exponent=st.floats(11, 28), length=st.sampled_from([16, 512, 4096]))
def test_every_budget_has_a_plan_of_whole_batches_that_spends_it(exponent: float, length: int) -> None:
    made = plan_for(10**exponent, Choices(sequence_length=length), 32768)
    assert made.tokens == made.steps * made.batch_size * length
    assert made.compute == pytest.approx(10**exponent, rel=0.5 / made.steps + 1e-9)
    assert made.warmup_steps <= 0.05 * made.steps


def test_a_budget_below_one_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match="less than one batch"):
        plan_for(1e12, Choices(shape=SEVEN_B), 102400)


def test_the_plan_counts_flops_in_three_ways_and_says_how_far_they_differ() -> None:
    counted = plan_for(1e20, Choices(shape=SEVEN_B, tokens=2_000_000_000_000), 102400).flops_per_token
    assert counted["non_embedding"] == 30 * (72 * 4096**2 + 12 * 4096 * 4096)
    assert counted["six_n"] == 72 * 30 * 4096**2
    assert counted["six_n_with_embeddings"] == counted["six_n"] + 12 * 102400 * 4096
    assert counted["six_n_ratio"] == pytest.approx(6 / 7)  # attention is a seventh where the sequence is as long as the width
    assert counted["six_n_with_embeddings_ratio"] == pytest.approx(0.976, abs=5e-4)


def test_a_law_in_parameters_gets_a_shape_of_so_many_parameters_and_a_note_on_what_it_lacks() -> None:
    made = plan_for(1.20e20, Choices(), 32768, "chinchilla")
    assert parameters(made.shape) == pytest.approx(1e9, rel=0.1)
    assert made.tokens == pytest.approx(20e9, rel=0.1)
    assert "the law chinchilla gives no batch size and no learning rate; deepseek's is used instead" in made.notes
    beyond = plan_for(1e21, Choices(), 32768, "chinchilla").notes
    assert any("is used instead, extrapolated from 1e+17 to 3e+20 FLOPs" in note for note in beyond)


@pytest.mark.parametrize(("compute", "words"), [(1e16, "it is extrapolated, and embeddings"), (1e26, "extrapolated far beyond")])
def test_a_law_that_states_no_range_extrapolates_outside_the_usual_one(compute: float, words: str) -> None:
    assert words in plan_for(compute, Choices(), 32768, "kaplan").notes[0]
    assert "extrapolat" not in plan_for(1e18, Choices(), 32768, "kaplan").notes[0]


def test_a_published_law_predicts_no_loss() -> None:
    assert plan_for(1e20, Choices(), 102400).prediction is None


def test_a_shape_of_another_vocabulary_than_the_tokenizers_is_refused() -> None:
    with pytest.raises(ConfigError, match="vocabulary of 4096; allowed: the tokenizer's 2048"):
        plan_for(1e14, Choices(shape=SHAPE), 2048)
