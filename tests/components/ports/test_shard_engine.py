"""The in-process engine keeps the promises of the port; so does the arithmetic that both engines share."""

import zlib

import numpy as np
import pyarrow as pa
import pytest

from components.interim.exchange import partition_of
from components.ports import InProcessShardEngine
from tests.components.ports.shard_engine_suite import ShardEngineSuite


class TestInProcessShardEngine(ShardEngineSuite):
    @pytest.fixture
    def engine(self) -> InProcessShardEngine:
        return InProcessShardEngine()

    def test_it_has_no_overhead(self, engine: InProcessShardEngine) -> None:
        engine.map_shards(abs, [1, 2], description="work")
        assert engine.overhead_seconds == 0


def test_partitions_of_strings_are_spread_and_the_same_on_every_machine() -> None:
    keys = pa.chunked_array([[f"key {number}" for number in range(1000)], ["key 0"]])
    partitions = partition_of(keys, 7)
    assert partitions[0] == partitions[-1] == zlib.crc32(b"key 0") % 7 == 4
    assert np.bincount(partitions).min() > 100


def test_partitions_of_large_unsigned_keys_keep_every_bit() -> None:
    assert partition_of(pa.chunked_array([pa.array([2**64 - 1, 2**63], pa.uint64())]), 10).tolist() == [5, 8]


def test_no_keys_have_no_partitions() -> None:
    for kind in (pa.string(), pa.int64()):
        assert partition_of(pa.chunked_array([], kind), 4).tolist() == []
