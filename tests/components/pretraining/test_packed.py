"""Packed batches of token shards."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import Mixture
from components.model.decoder import Decoder, initialise
from components.model.loss import cross_entropy
from components.pretraining.packed import NextToken, PackedBatches
from components.tokenizer.token_shards import TokenShardReader
from components.training.data_order import DataOrder
from components.training.portions import apportion, windows_of
from tests.components.pretraining.conftest import SHAPE, with_languages

TOKENS_OF_A_DOCUMENT = 62
"""Of the shards: BOS, 60 tokens of text, EOS."""


@pytest.fixture
def batches(token_shards: Path) -> PackedBatches:
    reader = TokenShardReader.open(token_shards)
    mixture = Mixture(shares={"code": 0.6, "prose": 0.4}, epoch_limits={"code": 9.0, "prose": 9.0})
    portions = apportion(mixture, windows_of(reader.index, 16), 400)
    return PackedBatches(reader, DataOrder(portions, 1), batch_size=7, sequence_length=16, micro_batch_size=3)


def rows(batches: PackedBatches, step: int, rank: int, world_size: int) -> list[list[int]]:
    return [row for batch in batches.micro_batches(step, rank, world_size) for row in batch["tokens"].tolist()]


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_every_world_size_sees_the_same_global_batch(batches: PackedBatches, world_size: int) -> None:
    gathered = [row for rank in range(world_size) for row in rows(batches, 5, rank, world_size)]
    assert gathered == rows(batches, 5, 0, 1)


def test_micro_batches_are_no_larger_than_asked_for(batches: PackedBatches) -> None:
    assert [len(batch["tokens"]) for batch in batches.micro_batches(0, 0, 1)] == [3, 3, 1]


def test_targets_are_the_tokens_one_further_on(batches: PackedBatches) -> None:
    (batch, *_) = batches.micro_batches(0, 0, 1)
    assert batch["tokens"].dtype == torch.int64
    assert torch.equal(batch["tokens"][:, 1:], batch["targets"][:, :-1])


def test_tokens_are_numbered_by_the_documents_that_the_shards_have_them_in(batches: PackedBatches) -> None:
    masked = replace(batches, document_mask=True)
    numbered = [row for batch in masked.micro_batches(2, 0, 1) for row in batch["documents"]]
    for (_, start), numbers in zip(masked.window_starts(2 * 7, 7), numbered, strict=True):
        documents = (start + torch.arange(16)) // TOKENS_OF_A_DOCUMENT
        begun_before = start % TOKENS_OF_A_DOCUMENT > 0
        assert torch.equal(numbers, documents - documents[0] + (not begun_before))


def test_without_the_document_mask_no_documents_are_numbered(batches: PackedBatches) -> None:
    assert all("documents" not in batch for batch in batches.micro_batches(2, 0, 1))


@pytest.mark.parametrize("loss_rows", [None, 24])
def test_under_the_document_mask_the_loss_of_a_window_is_that_of_its_documents_alone(
    batches: PackedBatches, loss_rows: int | None
) -> None:
    model = Decoder(SHAPE)
    initialise(model, 0.1, 0)
    objective = NextToken(loss_rows)
    for batch in replace(batches, document_mask=True).micro_batches(2, 0, 1):
        with torch.no_grad():
            loss = float(objective(model, batch).loss)
            alone = [
                float(objective(model, {name: batch[name][row, chosen][None] for name in ("tokens", "targets")}).loss)
                for row, numbers in enumerate(batch["documents"])
                for chosen in (numbers == number for number in numbers.unique())
            ]
        assert loss == pytest.approx(sum(alone), rel=1e-5)


def test_a_step_can_be_asked_for_without_those_before_it(batches: PackedBatches) -> None:
    before = rows(batches, 3, 0, 1)
    rows(batches, 0, 0, 1)
    assert rows(batches, 3, 0, 1) == before


def test_tokens_by_domain_are_counted_from_the_batches(batches: PackedBatches) -> None:
    counts = batches.tokens_seen(4)
    assert [int(a + b) for a, b in zip(counts["code"], counts["prose"], strict=True)] == [112, 224, 336, 448]


@pytest.fixture
def of_languages(token_shards: Path) -> PackedBatches:
    mixture = with_languages(token_shards)
    reader = TokenShardReader.open(token_shards)
    portions = apportion(mixture, windows_of(reader.index, 16), 100)
    return PackedBatches(reader, DataOrder(portions, 1), batch_size=10, sequence_length=16, micro_batch_size=10)


def test_an_epoch_of_a_language_goes_once_through_the_windows_of_its_own_tokens(of_languages: PackedBatches) -> None:
    starts = [start for domain, start in of_languages.window_starts(0, 200) if domain == "prose"]
    windows = (10 * 62 - 1) // 16
    first = [start for start in starts if start < 10 * 62]
    assert sorted(first[:windows]) == [16 * window for window in range(windows)]
    assert all((start - 10 * 62) % 16 == 0 for start in starts if start >= 10 * 62)


def test_tokens_and_losses_of_a_domain_are_those_of_its_languages_together(of_languages: PackedBatches) -> None:
    seen = of_languages.tokens_seen(10)
    assert (seen["prose/aa"] + seen["prose/bb"]).tolist() == seen["prose"].tolist()
    assert [int(seen[name][-1]) for name in ("code", "prose/aa", "prose/bb")] == pytest.approx([800, 400, 400], abs=16)
    (batch,) = of_languages.micro_batches(0, 0, 1)
    domains = [domain for domain, _ in of_languages.window_starts(0, 10)]
    assert [of_languages.order.domains[index] for index in batch["domains"].tolist()] == domains
    assert batch["domain_scale"].tolist() == [10 / domains.count("code"), 10 / domains.count("prose")]


@given(vocabulary=st.integers(0, SHAPE.vocab_size - 1))
def test_the_loss_of_a_uniform_model_is_the_logarithm_of_the_vocabulary(vocabulary: int) -> None:
    tokens = torch.full((2, 3), vocabulary)
    batch = {"tokens": tokens, "targets": tokens}
    logits = torch.zeros(2, 3, SHAPE.vocab_size)
    model = torch.nn.Module()
    model.forward = lambda _, documents_BS: logits  # type: ignore[method-assign]
    model.vocabulary = None  # type: ignore[assignment]
    terms = NextToken()(model, batch)
    assert NextToken().weight(batch) == 6
    assert float(terms.loss) == pytest.approx(6 * torch.tensor(float(SHAPE.vocab_size)).log().item())


def test_the_losses_of_the_domains_are_means_over_their_own_targets(batches: PackedBatches) -> None:
    objective = NextToken(domains=batches.order.domains)
    model = Decoder(SHAPE)
    initialise(model, 0.1, 0)
    micro_batches = batches.micro_batches(3, 0, 1)
    with torch.no_grad():
        terms = [objective(model, batch) for batch in micro_batches]
        losses = torch.cat([cross_entropy(model(batch["tokens"]), batch["targets"], reduction="none") for batch in micro_batches])
    indices = torch.cat([batch["domains"] for batch in micro_batches])
    weight = sum(objective.weight(batch) for batch in micro_batches)
    for index, name in enumerate(objective.domains):
        mean = sum(float(term.figures[f"loss/{name}"]) for term in terms) / weight
        assert mean == pytest.approx(float(losses[indices == index].mean()), rel=1e-5)


def test_a_domain_without_a_sequence_in_the_batch_has_no_loss(batches: PackedBatches) -> None:
    (batch, *_) = batches.micro_batches(0, 0, 1)
    alone = {**batch, "domain_scale": torch.tensor([1.0, torch.nan])}
    terms = NextToken(domains=("code", "prose"))(Decoder(SHAPE), alone)
    assert torch.isnan(terms.figures["loss/prose"])
