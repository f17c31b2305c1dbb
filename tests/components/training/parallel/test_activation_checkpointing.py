"""What layers compute a second time instead of keeping it."""

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from components.artifacts import ModelShape
from components.errors import ConfigError
from components.flops import checkpointed_bytes
from components.model.decoder import Decoder, call_directly, initialise
from components.training.parallel.activation_checkpointing import apply
from tests.components.training.conftest import Training

SHAPE = ModelShape(n_layer=4, d_model=64, n_head=4, n_kv_head=2, d_ffn=160, vocab_size=32, context=256)
LONG = ModelShape(n_layer=4, d_model=64, n_head=4, n_kv_head=2, d_ffn=160, vocab_size=32, context=2048)
"""Its attention is a kernel's."""


def model_of(shape: ModelShape, policy: str) -> Decoder:
    model = Decoder(shape)
    initialise(model, 0.02, 0)
    apply(model, policy)
    return model


class Products(TorchDispatchMode):
    """Counts the products of matrices that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.number += func is torch.ops.aten.mm.default
        return func(*args, **kwargs or {})


def tensors_of_python() -> dict[int, int]:
    """Bytes of every storage of a tensor that Python knows of, by its address."""
    storages = [thing.untyped_storage() for thing in gc.get_objects() if type(thing) in (Tensor, nn.Parameter)]
    return {storage.data_ptr(): storage.nbytes() for storage in storages}


@pytest.mark.parametrize("policy", ["selective", "full"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_ends_bitwise_as_one_that_keeps_everything(
    policy: str, precision: str, training: Training, tmp_path: Path
) -> None:
    (kept, first, _), (made_again, second, _) = (
        training(tmp_path / name, precision=precision, steps=3, activation_checkpointing=name) for name in ("none", policy)
    )
    assert first.history == second.history
    for ours, theirs in zip(made_again.parameters(), kept.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("policy", ["none", "selective", "full"])
def test_the_matrices_are_multiplied_again_only_where_nothing_is_kept(policy: str) -> None:
    model = model_of(SHAPE, policy)
    loss = model(torch.zeros(1, 16, dtype=torch.int64)).sum()
    with Products() as products:
        loss.backward()
    of_a_layer, of_the_head = 7, 1
    of_backward = 2 * (of_a_layer * SHAPE.n_layer + of_the_head)
    # Nothing needs the result of a layer's last product, so that its second pass ends before it
    assert products.number - of_backward == ((of_a_layer - 1) * SHAPE.n_layer if policy == "full" else 0)


@pytest.mark.long
@pytest.mark.parametrize("policy", ["selective", "full"])
@pytest.mark.parametrize("shape", [SHAPE, LONG])
def test_what_is_kept_for_the_backward_pass_is_what_the_plan_says(policy: str, shape: ModelShape) -> None:
    model, kept = model_of(shape, policy), {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    tokens = torch.zeros(4, shape.context, dtype=torch.int64)
    before = tensors_of_python()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(tokens, with_head=False)
    # What the policy keeps is in Python's hands, what the last norm keeps in autograd's
    kept |= {address: size for address, size in tensors_of_python().items() if address not in before}
    kept = {address: size for address, size in kept.items() if address not in before}
    assert output.requires_grad
    expected, _ = checkpointed_bytes(shape, tokens.numel(), shape.context, "fp32", checkpointing=policy)
    assert sum(kept.values()) == pytest.approx(expected, rel=0.1)


def test_a_model_comes_back_as_it_was(training: Training) -> None:
    model, _, _ = training(steps=2, checkpoint_steps=None, activation_checkpointing="full")
    assert model.call_layer is call_directly


def test_what_is_no_decoder_is_refused() -> None:
    apply(nn.Linear(2, 2), "none")
    with pytest.raises(ConfigError, match="activation_checkpointing full for a Linear; allowed: for a Decoder"):
        apply(nn.Linear(2, 2), "full")
