"""Tensor parallelism: how each weight is sharded, and a decoder alone in its group. Several workers are in test_placement.py."""

import copy
from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist

from components.model.decoder import Decoder
from components.training.engine import process_group
from components.training.parallel import tensor
from components.training.parallel.tensor import VocabularyShard, sharded_dimension
from tests.components.training.conftest import SHAPE, small_model

TOKENS = torch.arange(16).view(2, 8)


@pytest.fixture(autouse=True)
def _group() -> Iterator[None]:
    with process_group(torch.device("cpu"), 1):
        yield


def group() -> dist.ProcessGroup:
    assert dist.group.WORLD is not None
    return dist.group.WORLD


def test_every_matrix_is_sharded_and_no_vector_is() -> None:
    for name, parameter in small_model().named_parameters():
        assert (sharded_dimension(name) is None) == (parameter.dim() == 1), name


@pytest.mark.parametrize(
    ("name", "dimension"),
    [
        ("embedding.weight", 0),
        ("head.weight", 0),
        ("layers.0.attention.query.weight", 0),
        ("layers.0.attention.output.weight", 1),
        ("layers.1.ffn.gate.weight", 0),
        ("layers.1.ffn.down.weight", 1),
        ("layers.1.ffn_norm.weight", None),
        ("norm.weight", None),
    ],
)
def test_projections_into_heads_and_ffn_keep_rows_and_those_out_of_them_columns(name: str, dimension: int | None) -> None:
    assert sharded_dimension(name) == dimension


def test_a_decoder_alone_in_its_group_computes_what_it_did_forward_and_backward() -> None:
    whole = small_model()
    alone = copy.deepcopy(whole)
    tensor.apply(alone, group())
    assert torch.equal(alone(TOKENS), whole(TOKENS))
    for model in (whole, alone):
        model(TOKENS).square().sum().backward()
    gradients = dict(alone.named_parameters())
    assert all(torch.equal(weight.grad, gradients[name].grad) for name, weight in whole.named_parameters())


def test_deepspeed_is_told_which_weights_are_sharded() -> None:
    model = small_model()
    tensor.apply(model, group())
    marked = {name for name, weight in model.named_parameters() if hasattr(weight, "tensor_model_parallel")}
    assert marked == {name for name, _ in model.named_parameters() if sharded_dimension(name) is not None}


def test_the_head_knows_the_ids_of_its_rows_and_a_stage_without_a_head_does_not() -> None:
    model, stage = small_model(), small_model()
    stage.head = torch.nn.Identity()  # type: ignore[assignment]
    for decoder in (model, stage):
        tensor.apply(decoder, group())
    assert model.vocabulary == VocabularyShard(first=0, group=group())
    assert stage.vocabulary is None
    assert model.vocabulary.gather(torch.arange(3)).tolist() == [[0, 1, 2]]


def test_ids_of_other_shards_are_zeros_until_the_shards_are_summed() -> None:
    model = Decoder(SHAPE)
    torch.nn.init.ones_(model.embedding.weight)
    model.embedding.weight.data = model.embedding.weight.data[: SHAPE.vocab_size // 2]
    tensor.apply(model, group())
    sums = model.embedding(torch.tensor([[0, SHAPE.vocab_size // 2 - 1, SHAPE.vocab_size // 2, SHAPE.vocab_size - 1]])).sum(-1)
    assert sums.tolist() == [[SHAPE.d_model, SHAPE.d_model, 0, 0]]
