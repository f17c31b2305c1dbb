"""Sequence parallelism: which tokens of a batch each worker has. What its attention computes is in test_placement.py."""

import pytest
import torch

from components.errors import TrainingError
from components.training.parallel.sequence import shard

BATCH = {
    "tokens": torch.arange(24).view(2, 12),
    "targets": torch.arange(24).view(2, 12) + 1,
    "documents": torch.zeros(2, 12, dtype=torch.int64),
    "domains": torch.tensor([0, 1]),
    "domain_scale": torch.tensor([2.0, 2.0]),
}


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_the_shards_of_all_workers_are_the_sequences_in_their_order(workers: int) -> None:
    shards = [shard(BATCH, rank, workers) for rank in range(workers)]
    for name in ("tokens", "targets"):
        assert torch.equal(torch.cat([own[name] for own in shards], dim=1), BATCH[name])
        assert {own[name].shape for own in shards} == {(2, 12 // workers)}


def test_what_every_worker_needs_whole_is_not_sharded() -> None:
    own = shard(BATCH, 1, 3)
    assert all(torch.equal(own[name], BATCH[name]) for name in ("documents", "domains", "domain_scale"))


def test_sequences_that_do_not_divide_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"sequences of 12 tokens cannot be divided by training\.layout\.sequence 5"):
        shard(BATCH, 0, 5)
