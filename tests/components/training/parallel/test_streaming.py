"""A model whose weights are on the device for their turn alone."""

import pytest
import torch

from components.training.parallel.streaming import streamed
from tests.components.training.conftest import small_model

TOKENS = torch.arange(8).reshape(1, 8)


def test_weights_go_to_the_device_for_their_turn_and_are_in_the_hosts_memory_afterwards() -> None:
    model = streamed(small_model(), torch.device("meta"))
    seen = {}
    model.layers[1].ffn.down.register_forward_hook(lambda module, _, output: seen.update(output=output.device.type))
    with torch.no_grad():
        logits = model(TOKENS)
    assert seen == {"output": "meta"}
    assert logits.device.type == "meta"
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


def test_a_streamed_model_gives_the_same_logits_on_the_processor() -> None:
    with torch.no_grad():
        assert torch.equal(streamed(small_model(), torch.device("cpu"))(TOKENS), small_model()(TOKENS))


@pytest.mark.gpu
def test_a_streamed_model_gives_the_logits_of_one_that_lies_on_the_gpu() -> None:
    device = torch.device("cuda")
    with torch.no_grad():
        actual, whole = streamed(small_model(), device)(TOKENS), small_model().to(device)(TOKENS.to(device))
    assert torch.equal(actual, whole)
