"""Settings of training refuse what cannot be meant."""

from typing import Any

import pytest

from components.errors import ConfigError
from components.training.config import OptimizerConfig, ScheduleConfig, TrainingSettings
from components.training.parallel.layout import ParallelLayout

GOOD = {"steps": 10, "learning_rate": 1e-3, "warmup_steps": 2}


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
        (TrainingSettings, "precision", "fp16"),
        (TrainingSettings, "checkpoint_seconds", 0.0),
        (TrainingSettings, "checkpoint_steps", -1),
        (TrainingSettings, "validation_steps", 0),
        (TrainingSettings, "keep_checkpoints", 0),
        (TrainingSettings, "permanent_checkpoints", (0.0,)),
        (TrainingSettings, "non_finite", "ignore"),
        (ParallelLayout, "zero_stage", 2),
        (ParallelLayout, "tensor", 0),
        (ParallelLayout, "data", -1),
        (TrainingSettings, "on_spike", "ignore"),
        (TrainingSettings, "spike_deviations", 0.0),
        (TrainingSettings, "max_skipped", 0),
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
    assert TrainingSettings(**GOOD).checkpoint_seconds == 300


def test_skipping_spikes_is_refused_with_a_pipeline() -> None:
    with pytest.raises(ConfigError, match="on_spike is 'skip'; allowed: report, stop with a pipeline"):
        TrainingSettings(**GOOD, on_spike="skip", layout=ParallelLayout(pipeline=2))


def test_permanent_checkpoints_come_once_their_share_is_behind() -> None:
    assert TrainingSettings(**GOOD | {"steps": 11}, permanent_checkpoints=(0.8, 1.0)).permanent_steps == {9, 11}
