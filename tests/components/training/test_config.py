"""Settings of training refuse what cannot be meant."""

import ast
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import ModelShape, Plan
from components.errors import ConfigError
from components.pretraining.config import PretrainingConfig
from components.training.config import (
    CHOICES,
    CheckpointConfig,
    Choices,
    IncidentConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainingConfig,
    TrainingSettings,
)
from components.training.parallel.layout import ParallelLayout
from tests.paths import MODULES, ROOT

SHAPE = ModelShape(n_layer=1, d_model=8, n_head=1, n_kv_head=1, d_ffn=16, vocab_size=64, context=16)

HALVED = TrainingConfig(workers=2, layout=ParallelLayout(tensor=2))

GOOD = {"config": TrainingConfig(), "steps": 10, "learning_rate": 1e-3, "warmup_steps": 2}


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (ScheduleConfig, "kind", "linear"),
        (ScheduleConfig, "milestones", (0.9, 0.8)),
        (ScheduleConfig, "factors", (0.5,)),
        (ScheduleConfig, "final_factor", 1.5),
        (OptimizerConfig, "beta1", 1.0),
        (OptimizerConfig, "beta2", -0.1),
        (OptimizerConfig, "epsilon", 0.0),
        (OptimizerConfig, "clip", 0.0),
        (OptimizerConfig, "weight_decay", -0.1),
        (TrainingSettings, "steps", 0),
        (TrainingSettings, "learning_rate", -1.0),
        (TrainingSettings, "warmup_steps", 11),
        (TrainingConfig, "precision", "fp16"),
        (TrainingConfig, "activation_checkpointing", "some"),
        (TrainingConfig, "workers", 0),
        (TrainingConfig, "min_workers", 0),
        (TrainingConfig, "min_workers", 2),
        (TrainingConfig, "micro_batch_tokens", 0),
        (TrainingConfig, "validation_steps", 0),
        (CheckpointConfig, "seconds", 0.0),
        (CheckpointConfig, "steps", -1),
        (CheckpointConfig, "keep", 0),
        (CheckpointConfig, "permanent", (0.0,)),
        (IncidentConfig, "non_finite", "ignore"),
        (ParallelLayout, "zero_stage", 2),
        (ParallelLayout, "tensor", 0),
        (ParallelLayout, "data", -1),
        (IncidentConfig, "on_spike", "ignore"),
        (IncidentConfig, "spike_deviations", 0.0),
        (IncidentConfig, "max_skipped", 0),
    ],
)
def test_a_bad_value_is_refused_with_the_name_of_its_field(kind: Any, field: str, value: Any) -> None:
    base = GOOD if kind is TrainingSettings else {}
    with pytest.raises(ConfigError, match=rf"{kind.__name__}\.{field} is"):
        kind(**base | {field: value})


def test_the_defaults_are_those_of_the_paper() -> None:
    optimizer, schedule = OptimizerConfig(), ScheduleConfig()
    assert (optimizer.beta1, optimizer.beta2, optimizer.weight_decay, optimizer.clip) == (0.9, 0.95, 0.1, 1.0)
    assert (schedule.milestones, schedule.factors) == ((0.8, 0.9), (0.316, 0.1))
    assert TrainingConfig().checkpoints.seconds == 300


def test_skipping_spikes_is_refused_with_a_pipeline() -> None:
    with pytest.raises(ConfigError, match=r"on_spike is 'skip'; allowed: report or stop with layout\.pipeline"):
        TrainingConfig(workers=2, incidents=IncidentConfig(on_spike="skip"), layout=ParallelLayout(pipeline=2))


def test_workers_that_do_not_make_whole_replicas_are_refused() -> None:
    with pytest.raises(
        ConfigError, match="3 workers with the layout tensor 2 x sequence 1 x pipeline 1; allowed: a multiple of 2"
    ):
        TrainingConfig(workers=3, layout=ParallelLayout(tensor=2))


@pytest.mark.parametrize("layout", [ParallelLayout(tensor=2), ParallelLayout(data=4)])
def test_fewer_workers_are_refused_where_a_replica_has_several(layout: ParallelLayout) -> None:
    with pytest.raises(ConfigError, match=r"min_workers is 2; allowed: None if layout\.tensor"):
        TrainingConfig(workers=4, min_workers=2, layout=layout)


def test_a_micro_batch_has_as_many_whole_sequences_as_fit_and_at_least_one() -> None:
    assert [TrainingConfig(micro_batch_tokens=tokens).sequences(256) for tokens in (1, 256, 1024, 1100)] == [1, 1, 4, 4]


def test_permanent_checkpoints_come_once_their_share_is_behind() -> None:
    config = TrainingConfig(checkpoints=CheckpointConfig(permanent=(0.8, 1.0)))
    assert TrainingSettings(config=config, steps=11, learning_rate=1e-3, warmup_steps=2).permanent_steps == {9, 11}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tokens", -1),
        ("tokens", float("inf")),
        ("batch_size", 0),
        ("sequence_length", 0),
        ("learning_rate", float("nan")),
        ("init_std", 0.0),
        ("warmup_steps", -1),
    ],
)
def test_a_bad_choice_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"Choices\.{field} is"):
        Choices(**{field: value})  # type: ignore[arg-type]


def test_a_sequence_longer_than_the_context_is_refused() -> None:
    with pytest.raises(ConfigError, match="sequence_length is 17; allowed: at most the model's context of 16"):
        Choices(shape=SHAPE, sequence_length=17)


def test_fewer_sequences_than_replicas_are_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size is 1; allowed: at least one sequence for each of 2 replicas"):
        Choices(batch_size=1, training=TrainingConfig(workers=2))
    assert Choices(batch_size=1, training=HALVED).batch_size == 1


def test_a_layout_that_does_not_divide_the_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="tensor is 2; allowed: a divisor of 1 heads"):
        Choices(shape=SHAPE, training=HALVED)


def test_the_choices_of_a_pretraining_are_all_that_planning_has_to_know() -> None:
    chosen: dict[str, Any] = {name: getattr(PretrainingConfig(), name) for name in CHOICES}
    assert chosen == dict.fromkeys(CHOICES)
    config = PretrainingConfig(tokens=1000, learning_rate=1e-3, training=HALVED, seed=3)
    assert Choices.of(config) == Choices(tokens=1000, learning_rate=1e-3, training=HALVED)
    assert Choices.of(config, shape=SHAPE, training=TrainingConfig()).shape == SHAPE


def test_whoever_trains_hands_the_very_config_on() -> None:
    training = TrainingConfig(optimizer=OptimizerConfig(clip=0.5))
    config = PretrainingConfig(training=training)
    plan = Plan(
        shape=SHAPE,
        tokens=1600,
        batch_size=1,
        sequence_length=16,
        steps=100,
        learning_rate=1e-3,
        init_std=0.02,
        warmup_steps=10,
        compute=1e9,
        memory_bytes=0,
        law={},
    )
    assert TrainingSettings.planned(config.training, plan).config is Choices.of(config).training is training


def test_the_numbers_of_the_optimizer_are_spelt_where_they_are_defined_and_where_they_are_used() -> None:
    """So one more of them, for all trainings, is a change to these two files and to the defaults in tests/golden."""
    numbers = {field.name for field in fields(OptimizerConfig)}
    spelt = {str(module): len(numbers & spelled(ROOT / module)) for module in MODULES}
    # Another library's `clip` or `epsilon` is one name; a copy of the optimizer's fields would be several
    assert {module for module, count in spelt.items() if count > 1} == {
        "components/training/config.py",
        "components/training/engine.py",
    }


def test_no_call_copies_a_training_config_field_by_field() -> None:
    names = {field.name for kind in (TrainingConfig, CheckpointConfig, IncidentConfig, OptimizerConfig) for field in fields(kind)}
    copied = {str(module): max_copied(ROOT / module, names) for module in MODULES}
    assert {module: count for module, count in copied.items() if count > 2} == {}


def test_a_copy_by_hand_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "copies.py").write_text("Optimizer(beta1=config.beta1, beta2=config.beta2, epsilon=config.epsilon)\n")
    assert spelled(tmp_path / "copies.py") >= {"beta1", "beta2", "epsilon"}
    assert max_copied(tmp_path / "copies.py", {"beta1", "beta2", "epsilon"}) == 3


def spelled(module: Path) -> set[str]:
    """Attributes, keywords, fields and strings of a module."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(attr=name) | ast.keyword(arg=str(name)) | ast.Constant(value=str(name)):
                names.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def max_copied(module: Path, names: set[str]) -> int:
    """How many of these names a call hands on at most, as `name=value.name`."""
    calls = (node for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    return max((sum(map(_is_copy, call.keywords, [names] * len(call.keywords))) for call in calls), default=0)


def _is_copy(keyword: ast.keyword, names: set[str]) -> bool:
    value = keyword.value
    return keyword.arg in names and isinstance(value, ast.Attribute) and value.attr == keyword.arg
