"""FLOPs and parameters against the paper's figures, memory against what torch keeps."""

import subprocess
import sys

import pytest
import torch

from components.artifacts import ModelShape
from components.flops import (
    BYTES,
    SCALES,
    activation_bytes,
    attention_weights_per_token,
    non_embedding_flops_per_token,
    parameters,
    parameters_by_component,
    scale_of,
    six_n,
    training_memory,
)
from components.model.decoder import Decoder
from components.model.loss import cross_entropy

SEVEN_B = ModelShape(n_layer=30, d_model=4096, n_head=32, n_kv_head=32, d_ffn=11008, vocab_size=102400, context=4096)
SIXTY_SEVEN_B = ModelShape(n_layer=95, d_model=8192, n_head=64, n_kv_head=8, d_ffn=22016, vocab_size=102400, context=4096)
SMALL = ModelShape(n_layer=3, d_model=64, n_head=4, n_kv_head=2, d_ffn=160, vocab_size=512, context=128)


def test_the_papers_shapes_have_the_papers_scale_and_budget() -> None:
    assert non_embedding_flops_per_token(SEVEN_B, 4096) == pytest.approx(4.23e10, rel=1e-3)
    assert 2e12 * non_embedding_flops_per_token(SEVEN_B, 4096) == pytest.approx(8.45e22, rel=1e-3)
    assert 2e12 * non_embedding_flops_per_token(SIXTY_SEVEN_B, 4096) == pytest.approx(9.94e23, rel=1e-3)


def test_parameter_counts_are_exact() -> None:
    assert parameters(SEVEN_B) == 6_910_365_696
    assert parameters(SIXTY_SEVEN_B) == 67_425_001_472


@pytest.mark.parametrize("shape", [SEVEN_B, SIXTY_SEVEN_B, SMALL])
def test_the_components_are_those_of_the_decoder(shape: ModelShape) -> None:
    with torch.device("meta"):
        model = Decoder(shape)
    counts = {name: parameter.numel() for name, parameter in model.named_parameters()}
    components = parameters_by_component(shape)
    for component in ("embedding", "attention", "ffn", "head"):
        assert components[component] == sum(count for name, count in counts.items() if f"{component}." in name), component
    assert components["norms"] == sum(count for name, count in counts.items() if "norm." in name)


def test_six_n_leaves_out_attention_or_counts_the_embeddings() -> None:
    small = ModelShape(n_layer=8, d_model=512, n_head=8, n_kv_head=8, d_ffn=1536, vocab_size=102400, context=4096)
    scale = non_embedding_flops_per_token(small, 4096)
    assert six_n(small) / scale == pytest.approx(0.43, abs=0.005)  # the paper's table 3, first row
    assert six_n(small, with_embeddings=True) - six_n(small) == 6 * 2 * 102400 * 512


@pytest.mark.parametrize(
    "shape", [SMALL, ModelShape(n_layer=2, d_model=96, n_head=3, n_kv_head=3, d_ffn=256, vocab_size=300, context=64)]
)
@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_activations_are_what_torch_keeps_for_the_backward_pass(shape: ModelShape, precision: str, dtype: torch.dtype) -> None:
    model, kept = Decoder(shape).to(dtype), {}
    weights = {parameter.data_ptr() for parameter in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    tokens = torch.zeros(4, shape.context, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = cross_entropy(model(tokens), tokens)
    measured = sum(size for size, _ in kept.values())
    numbers = attention_weights_per_token(shape, shape.context, precision) + shape.vocab_size
    expected = activation_bytes(shape, tokens.numel(), precision) + BYTES[precision] * tokens.numel() * numbers
    assert loss.requires_grad
    assert measured == pytest.approx(expected, rel=0.05)


def test_attention_keeps_no_weights_of_what_the_flash_kernel_takes() -> None:
    assert attention_weights_per_token(SEVEN_B, 4096, "bf16") == 0
    assert attention_weights_per_token(SMALL, 1024, "fp32") == 0
    assert attention_weights_per_token(SMALL, 1024, "bf16") == 3 * 4 * (1024 + 128) // 2


def test_more_workers_share_master_weights_and_optimizer_state_alone() -> None:
    alone, shared = (training_memory(SEVEN_B, micro_batch_size=1, sequence_length=4096, workers=w) for w in (1, 4))
    assert {name for name in alone if alone[name] != shared[name]} == {"master_weights", "optimizer"}
    assert shared["optimizer"] == alone["optimizer"] // 4
    assert alone["weights"] + alone["gradients"] + alone["master_weights"] + alone["optimizer"] == 18 * parameters(SEVEN_B)


def test_the_sum_of_memory_grows_with_micro_batch_and_precision() -> None:
    def total(size: int, precision: str) -> int:
        return sum(training_memory(SMALL, micro_batch_size=size, sequence_length=128, precision=precision).values())

    assert total(1, "bf16") < total(2, "bf16") < total(2, "fp32")


def test_arithmetic_on_shapes_and_scaling_loads_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, components.flops, components.scaling.planning.plan; "
        "assert not {'torch', 'numpy', 'pyarrow', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_scale_of_a_shape_is_what_the_law_counts() -> None:
    scales = {scale: scale_of(SMALL, 256, scale) for scale in SCALES}
    assert scales == {
        "non_embedding_flops_per_token": non_embedding_flops_per_token(SMALL, 256),
        "parameters": parameters(SMALL),
        "non_embedding_parameters": 12 * 3 * 64**2,
    }
