"""Bits per byte while the model trains."""

from pathlib import Path

import pytest

from components.model.decoder import Decoder, initialise
from components.pretraining.held_out import HeldOutBitsPerByte
from components.tokenizer.token_shards import TokenShardReader
from tests.components.pretraining.conftest import SHAPE


@pytest.fixture
def model() -> Decoder:
    model = Decoder(SHAPE)
    initialise(model, 0.02, 0)
    return model


def test_each_domain_and_their_mean_are_measured_on_the_same_documents_every_time(token_shards: Path, model: Decoder) -> None:
    held_out = HeldOutBitsPerByte(TokenShardReader.open(token_shards), {"code": 0.6, "prose": 0.4}, 2500, 0)
    first, second = held_out(model), held_out(model)
    assert first == second
    assert first["bits_per_byte"] == pytest.approx(0.6 * first["bits_per_byte/code"] + 0.4 * first["bits_per_byte/prose"])


def test_domains_outside_of_the_mixture_are_left_out(token_shards: Path, model: Decoder) -> None:
    held_out = HeldOutBitsPerByte(TokenShardReader.open(token_shards), {"books": 1.0}, 2500, 0)
    assert held_out(model) == {}
