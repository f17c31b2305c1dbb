"""The config of pretraining refuses what cannot be meant."""

import subprocess
import sys
from typing import Any

import pytest

from components.artifacts import ModelShape
from components.errors import ConfigError
from components.pretraining.config import PretrainingConfig
from components.training.parallel.layout import ParallelLayout

SHAPE = ModelShape(n_layer=1, d_model=8, n_head=1, n_kv_head=1, d_ffn=16, vocab_size=64, context=16)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", -1.0),
        ("tokens", 0),
        ("batch_size", -8),
        ("sequence_length", 0),
        ("init_std", 0.0),
        ("warmup_steps", -1),
        ("precision", "fp8"),
        ("workers", 0),
        ("min_workers", 0),
        ("min_workers", 2),
        ("micro_batch_size", 0),
        ("checkpoint_seconds", -1.0),
        ("checkpoint_steps", 0),
        ("keep_checkpoints", 0),
        ("validation_steps", 0),
        ("max_validation_bytes", 0),
        ("non_finite", "ignore"),
        ("on_spike", "ignore"),
        ("spike_deviations", 0.0),
        ("loss_rows", 0),
    ],
)
def test_a_bad_value_is_refused_with_the_name_of_its_field(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"PretrainingConfig\.{field} is"):
        PretrainingConfig(**{field: value})


def test_a_sequence_longer_than_the_context_is_refused() -> None:
    with pytest.raises(ConfigError, match="sequence_length is 17; allowed: up to the model's context of 16"):
        PretrainingConfig(shape=SHAPE, sequence_length=17)


def test_a_chunked_loss_is_refused_with_zero_3() -> None:
    with pytest.raises(ConfigError, match="loss_rows is 512; allowed: None with zero_stage 3"):
        PretrainingConfig(loss_rows=512, layout=ParallelLayout(zero_stage=3))


def test_fewer_sequences_than_replicas_are_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size is 1; allowed: at least one sequence for each of 2 replicas"):
        PretrainingConfig(batch_size=1, workers=2)
    assert PretrainingConfig(batch_size=1, workers=2, layout=ParallelLayout(tensor=2)).batch_size == 1


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"workers": 3}, "3 workers for tensor 2 x sequence 1 x pipeline 1; allowed: a multiple of 2"),
        ({"workers": 2, "shape": SHAPE}, "tensor is 2; allowed: a divisor of 1 heads"),
    ],
)
def test_a_layout_that_workers_or_model_do_not_divide_by_is_refused(changes: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ConfigError, match=refusal):
        PretrainingConfig(layout=ParallelLayout(tensor=2), **changes)


def test_fewer_workers_are_refused_where_a_replica_has_several() -> None:
    with pytest.raises(ConfigError, match="min_workers is 2; allowed: None with parts of matrices"):
        PretrainingConfig(workers=4, min_workers=2, layout=ParallelLayout(tensor=2))
    with pytest.raises(ConfigError, match="min_workers is 2; allowed: None with parts of matrices"):
        PretrainingConfig(workers=4, min_workers=2, layout=ParallelLayout(data=4))


def test_skipping_spikes_is_refused_with_a_pipeline() -> None:
    with pytest.raises(ConfigError, match="on_spike is 'skip'; allowed: report, stop with a pipeline"):
        PretrainingConfig(workers=2, on_spike="skip", layout=ParallelLayout(pipeline=2))


def test_importing_the_config_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, components.pretraining.config; print({'torch', 'numpy', 'ray', 'deepspeed'} & sys.modules.keys())"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "set()"
