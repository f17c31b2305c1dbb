"""Training on a GPU, and the memory that its plan says it takes."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from components.artifacts import ModelShape
from components.flops import training_memory
from components.model.decoder import Decoder, attend, document_mask, initialise
from components.pretraining.packed import NextToken
from components.training import loop
from components.training.checkpoints.saving import CheckpointPlan
from components.training.config import TrainingSettings
from tests.components.training.conftest import Training, equal
from tests.components.training.peak_memory import Batches
from tests.training_configs import training_config

pytestmark = pytest.mark.gpu

SHAPE = ModelShape(n_layer=8, d_model=1024, n_head=8, n_kv_head=8, d_ffn=2752, vocab_size=32_000, context=1024)
"""167 M weights: large beside what the library of matrix products takes for itself."""


@pytest.mark.parametrize("policy", ["selective", "full"])
def test_a_compiled_training_with_activation_checkpointing_goes_as_a_plain_one(
    policy: str, training: Training, tmp_path: Path
) -> None:
    _, plain, _ = training(tmp_path / "plain", precision="bf16")
    _, compiled, _ = training(tmp_path / "compiled", precision="bf16", compile=True, activation_checkpointing=policy)
    assert [row["loss"] for row in compiled.history] == pytest.approx([row["loss"] for row in plain.history], rel=1e-2)


def test_a_deterministic_training_ends_in_the_same_bits(training: Training, tmp_path: Path) -> None:
    (first, _, _), (second, _, _) = (
        training(tmp_path / name, precision="bf16", deterministic=True) for name in ("first", "second")
    )
    assert equal(first, second)


def test_grouped_attention_under_the_document_mask_is_one_of_the_kernels_that_keep_no_scores() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, heads, 256, 64, generator=generator) for heads in (8, 2, 2))
    mask = document_mask(torch.arange(4).repeat_interleave(64).expand(2, -1), torch.float32)
    with sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]):
        actual = attend(*(x.cuda().bfloat16() for x in (query, key, value, mask)))
    torch.testing.assert_close(actual.float().cpu(), attend(query, key, value, mask), rtol=2e-2, atol=2e-2)


class _Enough(Exception):
    """No checkpoint at the end."""


class _Peak:
    """A reporter that ends the training after its second step, and notes the peak of the GPU's memory."""

    rank, world_size, bytes = 0, 1, 0

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        self.bytes = torch.cuda.max_memory_allocated()
        if step == 2:
            raise _Enough

    def checkpoint_wanted(self) -> bool:
        return False


@pytest.mark.parametrize("policy", ["none", "selective", "full"])
def test_a_training_takes_the_memory_that_its_plan_says(policy: str, tmp_path: Path) -> None:
    model, reporter = Decoder(SHAPE), _Peak()
    initialise(model, 0.02, 0)
    config = training_config(checkpoint_seconds=None, activation_checkpointing=policy)
    settings = TrainingSettings(config=config, steps=3, learning_rate=1e-3, warmup_steps=1)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(_Enough):
        spec = loop.TrainSpec(model=model, objective=NextToken(), batches=Batches(SHAPE, 8))
        loop.train(spec, settings, CheckpointPlan(root=tmp_path / "checkpoints", identity={}), reporter)
    planned = training_memory(SHAPE, micro_batch_size=8, sequence_length=SHAPE.context, checkpointing=policy)
    assert reporter.bytes - before == pytest.approx(sum(planned.values()), rel=0.15)
