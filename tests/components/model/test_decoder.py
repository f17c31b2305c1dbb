"""The decoder against its definition: parameter counts, causality, the cache, the context, determinism."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from components.artifacts import ModelShape
from components.errors import ConfigError
from components.flops import ATTENTION_BLOCK, MAX_LENGTH_IN_BLOCKS
from components.model.cache import KeyValueCache
from components.model.decoder import Decoder, attend, attend_in_blocks, document_mask, initialise

SMALL = ModelShape(n_layer=2, d_model=32, n_head=4, n_kv_head=2, d_ffn=48, vocab_size=64, context=16)


def small(std: float = 0.2, seed: int = 0) -> Decoder:
    model = Decoder(SMALL)
    initialise(model, std=std, seed=seed)
    return model


def tokens(rows: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, SMALL.vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        ({"n_layer": 30, "d_model": 4096, "n_head": 32, "n_kv_head": 32, "d_ffn": 11008}, 6_910_365_696),
        ({"n_layer": 95, "d_model": 8192, "n_head": 64, "n_kv_head": 8, "d_ffn": 22016}, 67_425_001_472),
    ],
)
def test_the_papers_shapes_have_the_papers_parameter_counts_on_the_meta_device(shape: dict[str, int], parameters: int) -> None:
    with torch.device("meta"):
        model = Decoder(ModelShape(**shape, vocab_size=102400, context=4096))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert not list(model.buffers())


def test_a_later_token_changes_no_earlier_logits() -> None:
    model, batch = small(), tokens(2, 10)
    before = model(batch)
    batch[:, 7] = (batch[:, 7] + 1) % SMALL.vocab_size
    after = model(batch)
    torch.testing.assert_close(before[:, :7], after[:, :7], rtol=0, atol=0)
    assert (before[:, 7:] != after[:, 7:]).any(-1).all()


PACKED = replace(SMALL, context=1024)
"""Its windows take more keys than a block of torch's kernel for CPUs."""


def packed(*lengths: int) -> tuple[Decoder, Tensor, Tensor]:
    """A model, a window of documents of those lengths, and the numbers of their documents."""
    model = Decoder(PACKED)
    initialise(model, std=0.1, seed=0)
    numbers = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    return model, tokens(1, sum(lengths)), numbers[None]


@pytest.mark.parametrize("lengths", [(5, 7), (700, 90)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_the_document_mask_a_document_is_bitwise_untouched_by_the_one_before_it(
    lengths: tuple[int, int], dtype: torch.dtype
) -> None:
    model, batch, documents = packed(*lengths)
    model = model.to(dtype)
    changed = batch.clone()
    changed[:, : lengths[0]] = (batch[:, : lengths[0]] + 1) % SMALL.vocab_size
    with torch.no_grad():
        masked, masked_after, open_, open_after = (
            model(ids, documents_BS=numbers)[:, lengths[0] :] for numbers in (documents, None) for ids in (batch, changed)
        )
    assert torch.equal(masked, masked_after)
    assert (open_ != open_after).any(-1).all()


def test_under_the_document_mask_a_document_in_a_window_has_the_logits_that_it_has_alone() -> None:
    model, batch, documents = packed(300, 1, 480, 200)
    whole = model(batch, documents_BS=documents)
    for number in range(4):
        alone = model(batch[documents == number][None])
        torch.testing.assert_close(whole[:, documents[0] == number], alone, rtol=1e-5, atol=1e-5)


def test_a_window_of_one_document_has_the_logits_that_it_has_without_a_mask() -> None:
    model, batch, documents = packed(600)
    torch.testing.assert_close(model(batch, documents_BS=documents), model(batch), rtol=1e-5, atol=1e-5)


def test_the_document_mask_lets_a_token_see_itself_and_the_earlier_ones_of_its_document() -> None:
    mask = document_mask(torch.tensor([[0, 0, 1, 1]]), torch.bfloat16)
    assert mask.dtype == torch.bfloat16
    assert (mask[0, 0] == 0).tolist() == [
        [True, False, False, False],
        [True, True, False, False],
        [False, False, True, False],
        [False, False, True, True],
    ]


def test_the_cache_gives_the_logits_of_the_whole_sequence_however_it_is_cut() -> None:
    model, batch = small().double(), tokens(3, 12)
    whole = model(batch)
    cache = KeyValueCache(SMALL, [0, 0, 0], 12, model.head.weight)
    logits = [model(piece, cache) for piece in batch.split([5, 1, 4, 1, 1], dim=1)]
    torch.testing.assert_close(torch.cat(logits, 1), whole)


def test_left_padding_changes_nothing_for_the_real_tokens() -> None:
    model, short, long = small().double(), tokens(1, 4, seed=1), tokens(1, 9, seed=2)
    batch = torch.cat([torch.cat([torch.full((1, 5), 3), short], 1), long])
    cache = KeyValueCache(SMALL, [5, 0], 10, model.head.weight)
    padded = model(batch, cache)
    torch.testing.assert_close(padded[0, 5:], model(short)[0])
    torch.testing.assert_close(padded[1], model(long)[0])
    following = model(torch.tensor([[7], [8]]), cache)
    torch.testing.assert_close(following[0, 0], model(torch.cat([short, torch.tensor([[7]])], 1))[0, -1])
    assert torch.isfinite(padded).all()


def test_a_sequence_longer_than_the_context_is_refused_with_both_lengths() -> None:
    with pytest.raises(ConfigError, match=r"17 tokens.*context of 16"):
        small()(tokens(1, 17))
    cache = KeyValueCache(SMALL, [0], 20, small().head.weight)
    small()(tokens(1, 16), cache)
    with pytest.raises(ConfigError, match=r"17 tokens"):
        small()(tokens(1, 1), cache)


def test_padding_does_not_count_against_the_context() -> None:
    cache = KeyValueCache(SMALL, [4], 20, small().head.weight)
    assert small()(tokens(1, 20), cache).shape == (1, 20, SMALL.vocab_size)


def test_a_full_cache_is_refused() -> None:
    cache = KeyValueCache(SMALL, [0], 8, small().head.weight)
    with pytest.raises(ConfigError, match=r"cache of 8 tokens cannot hold 9"):
        small()(tokens(1, 9), cache)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, second, other = small(seed=1), small(seed=1), small(seed=2)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.head.weight, other.head.weight)
    assert not torch.equal(first.head.weight, first.embedding.weight)


def test_initial_matrices_have_the_asked_deviation_and_norms_are_one() -> None:
    model = small(std=0.006)
    assert model.embedding.weight.std().item() == pytest.approx(0.006, rel=0.05)
    assert all((p == 1).all() for p in model.parameters() if p.dim() == 1)


def test_bf16_weights_keep_positions_exact() -> None:
    model, batch = small(std=0.05), tokens(2, 16)
    in_bf16 = small(std=0.05).bfloat16()(batch).float()
    torch.testing.assert_close(in_bf16, model(batch), rtol=0.05, atol=0.005)


def kernel(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """How numbers that are not in bf16 attend."""
    return attend(query, key, value, None)


@pytest.mark.parametrize("length", [2, ATTENTION_BLOCK - 1, ATTENTION_BLOCK, ATTENTION_BLOCK + 1, 389, MAX_LENGTH_IN_BLOCKS + 1])
@pytest.mark.parametrize("way", [kernel, attend_in_blocks])
@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_attention_gives_the_values_and_gradients_of_its_definition(
    length: int, key_heads: int, way: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> None:
    generator = torch.Generator().manual_seed(length)
    query, key, value, upstream = (
        torch.randn(1, heads, length, 4, generator=generator, dtype=torch.float64, requires_grad=True)
        for heads in (4, key_heads, key_heads, 4)
    )
    scores = query @ key.repeat_interleave(4 // key_heads, 1).mT / 2.0
    scores = scores.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), -torch.inf)
    expected = scores.softmax(-1) @ value.repeat_interleave(4 // key_heads, 1)
    output = way(query, key, value)
    torch.testing.assert_close(output, expected)
    inputs = (query, key, value)
    pairs = zip(torch.autograd.grad(output, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True)
    for gradient, reference in pairs:
        torch.testing.assert_close(gradient, reference)


def test_attention_that_learns_and_attention_that_scores_are_equal_bit_for_bit() -> None:
    model, batch = small(std=0.05).bfloat16(), tokens(2, 16)
    with torch.no_grad():
        scored = model(batch)
    assert torch.equal(model(batch), scored)


@pytest.mark.slow
def test_the_compiled_decoder_gives_the_same_logits_and_gradients() -> None:
    model, batch = small(), tokens(2, 16)
    compiled = torch.compile(model, fullgraph=True)
    torch.testing.assert_close(compiled(batch), model(batch), rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(compiled(batch).square().mean(), model.embedding.weight)
    (expected,) = torch.autograd.grad(model(batch).square().mean(), model.embedding.weight)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)
