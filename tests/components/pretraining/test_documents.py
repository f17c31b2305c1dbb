"""Which documents a step saw."""

from pathlib import Path

import pytest

from components.artifacts import Mixture
from components.pretraining.documents import documents_of
from components.pretraining.packed import PackedBatches
from components.tokenizer.token_shards import TokenShardReader
from components.training.data_order import DataOrder
from components.training.portions import apportion, windows_of


@pytest.fixture
def batches(token_shards: Path) -> PackedBatches:
    reader = TokenShardReader.open(token_shards)
    mixture = Mixture(shares={"code": 0.6, "prose": 0.4}, epoch_limits={"code": 4.0, "prose": 4.0})
    portions = apportion(mixture, windows_of(reader.index, 16), 96)
    return PackedBatches(reader, DataOrder(portions, 3), 8, 16, 4)


def test_the_documents_are_those_whose_tokens_are_in_the_batch(batches: PackedBatches) -> None:
    rows = [row for batch in batches.micro_batches(5, 0, 1) for row in batch["tokens"].tolist()]
    sequences = list(documents_of(batches, 5))
    assert len(sequences) == len(rows) == 8
    for row, sequence in zip(rows, sequences, strict=True):
        table = batches.reader.documents("train", sequence.domain).to_pylist()
        ids = batches.reader.window("train", sequence.domain, sequence.start, 16).tolist()
        assert ids == row
        end = sequence.start + 17
        touched = [d["id"] for d in table if d["start"] < end and d["start"] + d["tokens"] > sequence.start]
        assert list(sequence.documents) == touched
