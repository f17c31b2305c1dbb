"""The config of pretraining refuses what cannot be meant."""

import subprocess
import sys
from typing import Any

import pytest

from components.errors import ConfigError
from components.pretraining.config import PretrainingConfig
from components.training.config import TrainingConfig
from components.training.parallel.layout import ParallelLayout


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", -1.0),
        ("tokens", 0),
        ("batch_size", -8),
        ("sequence_length", 0),
        ("init_std", 0.0),
        ("warmup_steps", -1),
        ("max_validation_bytes", 0),
        ("loss_rows", 0),
    ],
)
def test_a_bad_value_is_refused_with_the_name_of_its_field(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"PretrainingConfig\.{field} is"):
        PretrainingConfig(**{field: value})


def test_a_chunked_loss_is_refused_with_zero_3() -> None:
    with pytest.raises(ConfigError, match=r"loss_rows is 512; allowed: None with training\.layout\.zero_stage 3"):
        PretrainingConfig(loss_rows=512, training=TrainingConfig(layout=ParallelLayout(zero_stage=3)))


def test_importing_the_config_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, components.pretraining.config; print({'torch', 'numpy', 'ray', 'deepspeed'} & sys.modules.keys())"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "set()"
