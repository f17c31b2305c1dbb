"""Plans: what the law decides, what choices replace, what the notes say, what is refused."""

import dataclasses
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.artifacts import Mixture, ModelShape, Plan
from components.errors import ConfigError, DamagedArtifact, MissingArtifact, TrainingError
from components.flops import non_embedding_flops_per_token, parameters
from components.scaling.config import Choices, ScalingConfig
from components.scaling.planning.plan import plan, plan_for

SHAPE = ModelShape(n_layer=4, d_model=128, n_head=4, n_kv_head=4, d_ffn=512, vocab_size=4096, context=256)
SMALL, SHORT = ScalingConfig(compute=1e12), Choices(sequence_length=256)
"""A budget and sequences for which the shards have text enough."""

SEVEN_B = ModelShape(n_layer=30, d_model=4096, n_head=32, n_kv_head=32, d_ffn=11008, vocab_size=102400, context=4096)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    (tmp_path / "tokenizer").mkdir()
    special = {"bos": 0, "eos": 1, "pad": 2, "vocab_size": 4096, "regular_tokens": 4000}
    (tmp_path / "tokenizer" / "special_tokens.json").write_text(json.dumps(special))
    return tmp_path / "tokenizer"


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    (tmp_path / "shards").mkdir()
    domains = {"code": {"tokens": 1_000_000}, "prose": {"tokens": 100_000}}
    (tmp_path / "shards" / "index.json").write_text(json.dumps({"splits": {"train": domains}}))
    mixture = {"shares": {"code": 0.5, "maths": 0.25, "prose": 0.25}, "epoch_limits": {"code": 4, "maths": 4, "prose": 4}}
    (tmp_path / "shards" / "mixture.json").write_text(json.dumps(mixture))
    return tmp_path / "shards"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "output").mkdir()
    return tmp_path / "output"


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
    made = plan_for_config(ScalingConfig(compute=None), Choices(shape=SHAPE, tokens=10_000_000))
    assert made.compute == pytest.approx(1e7 * non_embedding_flops_per_token(SHAPE, 256), rel=0.01)
    with pytest.raises(ConfigError, match="compute is None"):
        plan_for_config(ScalingConfig(compute=None), Choices(shape=SHAPE))


def plan_for_config(config: ScalingConfig, choices: Choices) -> Plan:
    from components.scaling.planning.plan import make_plan

    return make_plan(config, choices, 4096)


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


@pytest.mark.parametrize("compute", [0.0, -1.0, float("nan"), float("inf"), 1.0, 1e60])
def test_budgets_that_make_no_sense_are_refused_with_what_is_allowed(compute: float) -> None:
    with pytest.raises(ConfigError, match=r"ScalingConfig\.compute is .*1e\+10 to 1e\+28 FLOPs"):
        plan_for(compute, Choices(), 4096)


def test_a_budget_below_one_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match="less than one batch"):
        plan_for(1e12, Choices(shape=SEVEN_B), 102400)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("tokens", 0),
        ("batch_size", -4),
        ("init_std", 0.0),
        ("warmup_steps", -1),
        ("micro_batch_size", 0),
        ("precision", "fp8"),
    ],
)
def test_bad_choices_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"Choices\.{field} is"):
        Choices(**{field: value})  # type: ignore[arg-type]


def test_a_sequence_longer_than_the_context_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sequence_length is 512; allowed: at most the context of the shape, 256"):
        Choices(shape=SHAPE, sequence_length=512)


def test_an_unknown_law_or_one_without_coefficients_is_refused() -> None:
    for law in ("gpt", "deepseek-early"):
        with pytest.raises(ConfigError, match=r"law is .*allowed: deepseek"):
            ScalingConfig(law=law)


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
    assert "the law chinchilla gives no batch size and no learning rate; deepseek's stands in" in made.notes
    beyond = plan_for(1e21, Choices(), 32768, "chinchilla").notes
    assert any("stands in, extrapolated from 1e+17 to 3e+20 FLOPs" in note for note in beyond)


@pytest.mark.parametrize(("compute", "words"), [(1e16, "it is extrapolated, and embeddings"), (1e26, "extrapolated far beyond")])
def test_a_law_that_states_no_range_extrapolates_outside_the_usual_one(compute: float, words: str) -> None:
    assert words in plan_for(compute, Choices(), 32768, "kaplan").notes[0]
    assert "extrapolat" not in plan_for(1e18, Choices(), 32768, "kaplan").notes[0]


def test_a_published_law_predicts_no_loss() -> None:
    assert plan_for(1e20, Choices(), 102400).prediction is None


def test_a_shape_of_another_vocabulary_than_the_tokenizers_is_refused() -> None:
    with pytest.raises(ConfigError, match="vocabulary of 4096; allowed: the tokenizer's 2048"):
        plan_for(1e14, Choices(shape=SHAPE), 2048)


def test_the_artifact_holds_the_plan_and_a_table_of_choices(tokenizer: Path, shards: Path, output: Path) -> None:
    choices = Choices(shape=SHAPE, tokens=2_000_000, batch_size=8)
    figures = plan(ScalingConfig(compute=None), choices=choices, tokenizer=tokenizer, token_shards=shards, output=output)
    raw = json.loads((output / "plan.json").read_text())
    read = Plan(**raw | {"shape": ModelShape(**raw["shape"]), "notes": tuple(raw["notes"])})
    assert read.shape == SHAPE
    assert figures["tokens"] == read.tokens == 977 * 8 * 256
    assert figures["notes"] == list(read.notes)
    table = pq.read_table(output / "metrics" / "plan.parquet").to_pydict()
    assert table["name"][0] == "compute"
    assert dict(zip(table["name"], table["chosen"], strict=True))["tokens"] == read.tokens
    assert None not in table["law"]


def test_the_notes_count_the_epochs_of_each_domain(tokenizer: Path, shards: Path, output: Path) -> None:
    choices = Choices(shape=SHAPE, tokens=2_000_000, batch_size=8)
    figures = plan(ScalingConfig(compute=None), choices=choices, tokenizer=tokenizer, token_shards=shards, output=output)
    assert figures["notes"][-6:] == [
        "code: 1.00 epochs of 1000000 tokens",
        "maths: no training tokens, though the mixture gives it a share",
        "prose: 5.00 epochs of 100000 tokens, more than its limit of 4: the surplus goes to the other domains",
        "code takes over what others may not repeat: 80.0% of the tokens instead of 50.0%",
        "maths has no whole sequence to train on: 0.0% of the tokens instead of 25.0%",
        "prose would be repeated too often: 20.0% of the tokens instead of 25.0% (4.00 epochs)",
    ]


def test_the_notes_count_the_epochs_of_each_language_with_a_share(tokenizer: Path, shards: Path, output: Path) -> None:
    spans = {"en": {"start": 0, "tokens": 900_000}, "zh": {"start": 900_000, "tokens": 100_000}}
    index = {"splits": {"train": {"code": {"tokens": 1_000_000}, "web": {"tokens": 1_000_000, "languages": spans}}}}
    (shards / "index.json").write_text(json.dumps(index))
    limits = {"code": 4, "web": 4}
    mixture = Mixture(shares={"code": 0.5, "web": 0.5}, epoch_limits=limits, language_shares={"web": {"en": 0.5, "zh": 0.5}})
    (shards / "mixture.json").write_text(mixture.to_json())
    choices = Choices(shape=SHAPE, tokens=2_000_000, batch_size=8)
    figures = plan(ScalingConfig(compute=None), choices=choices, tokenizer=tokenizer, token_shards=shards, output=output)
    assert figures["notes"][-6:] == [
        "code: 1.00 epochs of 1000000 tokens",
        "web: 1.00 epochs of 1000000 tokens",
        "web/en: 0.56 epochs of 900000 tokens",
        "web/zh: 5.00 epochs of 100000 tokens, more than its limit of 4: the surplus goes to the other languages of web",
        "web/en takes over what others may not repeat: 30.0% of the tokens instead of 25.0%",
        "web/zh would be repeated too often: 20.0% of the tokens instead of 25.0% (4.00 epochs)",
    ]


def test_more_tokens_than_the_epoch_limits_allow_are_refused_before_training(tokenizer: Path, shards: Path, output: Path) -> None:
    choices = Choices(shape=SHAPE, tokens=5_000_000, batch_size=8)
    with pytest.raises(TrainingError, match=r"sequences are planned, the epoch limits allow 17184; lower the tokens"):
        plan(ScalingConfig(compute=None), choices=choices, tokenizer=tokenizer, token_shards=shards, output=output)


def test_the_same_inputs_give_the_same_bytes(tokenizer: Path, shards: Path, output: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    for place in (output, tmp_path / "again"):
        plan(
            ScalingConfig(compute=1e12),
            choices=Choices(sequence_length=256),
            tokenizer=tokenizer,
            token_shards=shards,
            output=place,
        )
    for name in ("plan.json", "metrics/plan.parquet"):
        assert (output / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_missing_and_damaged_inputs_are_named(tokenizer: Path, shards: Path, output: Path) -> None:
    def make() -> None:
        plan(
            ScalingConfig(compute=1e12),
            choices=Choices(sequence_length=256),
            tokenizer=tokenizer,
            token_shards=shards,
            output=output,
        )

    (shards / "index.json").write_text("{")
    with pytest.raises(DamagedArtifact, match=r"index\.json: not JSON"):
        make()
    (tokenizer / "special_tokens.json").unlink()
    with pytest.raises(MissingArtifact, match=r"special_tokens\.json: missing"):
        make()
