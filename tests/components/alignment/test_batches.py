"""Token batches: prompts masked, orders pure, every rank's part of the same whole."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.alignment.batches import IGNORED, Example, Item, ShuffledBatches, collate, encode, grouped_by_length, input_length
from components.errors import ConfigError
from components.tokenizer.text_tokenizer import TextTokenizer

LENGTHS = st.lists(st.integers(2, 40), min_size=1, max_size=60)


def tokens(length: int, first: int = 0) -> Example:
    """Tokens `first`, `first + 1`, …, of which the second half is the answer."""
    return Example(np.arange(first, first + length, dtype=np.int32), np.arange(length) >= length // 2)


def items(lengths: list[int]) -> list[Item]:
    """One example each, told apart by the token it begins with."""
    return [(tokens(length, 100 * number),) for number, length in enumerate(lengths)]


def test_only_the_answers_and_their_ends_are_learned(base: Path) -> None:
    tokenizer = TextTokenizer.load(base)
    messages = [
        {"role": role, "content": content}
        for role, content in (("user", "What?"), ("assistant", "One."), ("user", "And?"), ("assistant", "Two."))
    ]
    batch = collate([(encode(tokenizer, messages),)])
    targets = batch["targets"][0]
    learned = targets[targets != IGNORED].tolist()
    assert learned == [*tokenizer.encode(" One."), tokenizer.eos_id, *tokenizer.encode(" Two."), tokenizer.eos_id]
    assert tokenizer.decode(batch["tokens"][0].tolist()) == "User: What?\n\nAssistant: One.User: And?\n\nAssistant: Two."


def test_targets_are_the_next_tokens_and_padding_counts_nothing() -> None:
    batch = collate([(tokens(3), tokens(5, 10)), (tokens(4, 20), tokens(2, 30))])
    assert batch["tokens"].tolist() == [[0, 1, 0, 0], [20, 21, 22, 0], [10, 11, 12, 13], [30, 0, 0, 0]]
    i = IGNORED
    assert batch["targets"].tolist() == [[1, 2, i, i], [i, 22, 23, i], [i, 12, 13, 14], [31, i, i, i]]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


def test_an_item_is_as_long_as_its_longest_input() -> None:
    assert input_length((tokens(4), tokens(9))) == 8


@example([40, 2, 2, 2, 2], 39, 3)
@given(LENGTHS, st.integers(1, 200), st.integers(1, 5))
def test_micro_batches_hold_every_item_once_within_the_limit(lengths: list[int], limit: int, min_groups: int) -> None:
    groups = grouped_by_length(items(lengths), limit, min_groups)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    assert len(groups) >= min(min_groups, len(lengths))
    assert all(len(group) <= 1 or len(group) * (max(lengths[index] for index in group) - 1) <= limit for group in groups)


@settings(max_examples=50)
@given(LENGTHS, st.integers(1, 70), st.integers(0, 3), st.integers(0, 2))
def test_an_epoch_sees_every_item_once_in_steps_of_almost_equal_size(
    lengths: list[int], batch_size: int, seed: int, epoch: int
) -> None:
    batches = ShuffledBatches(items(lengths), batch_size, 64, seed)
    steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
    seen = [batches.indices(step).tolist() for step in steps]
    assert sorted(index for step in seen for index in step) == list(range(len(lengths)))
    assert max(map(len, seen)) <= min(batch_size, min(map(len, seen)) + 1)


def test_the_order_depends_on_seed_and_step_alone() -> None:
    some = items(list(range(2, 42)))
    first, again = (ShuffledBatches(some, 7, 64, seed=3) for _ in range(2))
    forwards = [first.indices(step).tolist() for step in range(12)]
    backwards = [again.indices(step).tolist() for step in reversed(range(12))]
    assert forwards == backwards[::-1]
    assert forwards[:6] != forwards[6:]
    assert forwards != [ShuffledBatches(some, 7, 64, seed=4).indices(step).tolist() for step in range(12)]


@settings(max_examples=50)
@given(LENGTHS, st.integers(1, 4), st.integers(0, 5))
def test_the_ranks_together_see_the_same_items_for_every_number_of_workers(
    lengths: list[int], world_size: int, step: int
) -> None:
    batches = ShuffledBatches(items(lengths), 16, 64, seed=0)
    if len(lengths) // batches.steps_per_epoch < world_size:
        with pytest.raises(ConfigError, match=f"for {world_size} workers; increase batch_size or use fewer workers"):
            batches.require_workers(world_size)
        return
    shares = [batches.micro_batches(step, rank, world_size) for rank in range(world_size)]
    assert all(shares)
    firsts = sorted(int(token) for share in shares for batch in share for token in batch["tokens"][:, 0])
    assert firsts == sorted(100 * index for index in batches.indices(step).tolist())
