"""Bits per byte as it is defined."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from components.errors import ConfigError
from components.generation.bits_per_byte import IGNORED, BitsPerByte, _windows, bits_per_byte, mean
from tests.components.training.conftest import small_model


class Documents:
    """Documents of given (tokens, bytes) in one domain."""

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        starts = np.cumsum([0] + [tokens for tokens, _ in sizes])[:-1]
        columns = {"id": [str(n) for n in range(len(sizes))], "start": starts, "tokens": [t for t, _ in sizes]}
        self.table = pa.table(columns | {"bytes": [size for _, size in sizes]})
        self.ids = np.random.default_rng(0).integers(0, 32, sum(tokens for tokens, _ in sizes)).astype(np.uint16)

    def documents(self, split: str, domain: str) -> pa.Table:
        return self.table

    def window(self, split: str, domain: str, start: int, length: int) -> npt.NDArray[np.integer[Any]]:
        return self.ids[start : start + length]


def test_a_short_document_is_scored_from_its_second_token_to_its_last() -> None:
    reader, model = Documents([(12, 1000)]), small_model()
    ids = torch.from_numpy(reader.ids.astype(np.int64))
    nats = F.cross_entropy(model(ids[None, :-1])[0], ids[1:], reduction="sum").item()
    measured = bits_per_byte(model, reader, "validation", "code")
    assert measured.bits == pytest.approx(nats / math.log(2), rel=1e-6)
    assert measured.value == pytest.approx(measured.bits / 1000)
    assert measured.documents == 1


@given(length=st.integers(2, 100), context=st.integers(1, 40))
@settings(deadline=None)
def test_every_token_of_a_long_document_is_scored_once_with_half_a_context_before_it(length: int, context: int) -> None:
    ids = np.arange(length)
    scored: list[int] = []
    for inputs, targets in _windows(ids, context):
        assert len(inputs) == len(targets) <= context
        new = targets[targets != IGNORED]
        scored += new.tolist()
        if inputs[0] > 0 and context > 1:
            assert new[0] - inputs[0] >= context // 2
    assert scored == list(range(1, length))


def test_the_size_of_a_batch_changes_nothing() -> None:
    reader, model = Documents([(50, 1000), (9, 2000), (33, 1500), (7, 1000)]), small_model()
    few = bits_per_byte(model, reader, "validation", "code", batch_tokens=1)
    many = bits_per_byte(model, reader, "validation", "code", batch_tokens=10_000)
    assert few.bits == pytest.approx(many.bits, rel=1e-6)
    assert few.bytes == many.bytes == 5500


def test_documents_below_a_kilobyte_do_not_count() -> None:
    measured = bits_per_byte(small_model(), Documents([(10, 999), (10, 1000)]), "validation", "code")
    assert (measured.documents, measured.bytes) == (1, 1000)


def test_a_domain_without_a_long_document_has_no_figure() -> None:
    assert math.isnan(bits_per_byte(small_model(), Documents([(10, 999)]), "validation", "code").value)


def test_a_sample_is_fixed_by_its_seed_and_stays_below_its_bytes() -> None:
    reader, model = Documents([(10 + n, 1000 + n) for n in range(20)]), small_model()
    first, second, other = (bits_per_byte(model, reader, "validation", "code", max_bytes=5100, seed=seed) for seed in (0, 0, 1))
    assert first == second != other
    assert first.documents == 5
    assert first.bytes <= 5100


def test_the_first_document_of_a_sample_always_counts() -> None:
    assert bits_per_byte(small_model(), Documents([(10, 3000)]), "validation", "code", max_bytes=100).documents == 1


def test_the_mean_weighs_domains_by_fixed_shares_not_by_their_bytes() -> None:
    figures = {"code": BitsPerByte(2000, 1000, 1), "prose": BitsPerByte(40_000, 10_000, 9), "books": BitsPerByte(0, 0, 0)}
    assert mean(figures, {"code": 0.6, "prose": 0.2, "books": 0.2}) == pytest.approx((0.6 * 2 + 0.2 * 4) / 0.8)


def test_a_mean_over_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="1000 bytes in books"):
        mean({"books": BitsPerByte(0, 0, 0)}, {"books": 1.0})
