"""The in-process engine keeps the promises of the port."""

import pytest

from components.ports import InProcessShardEngine
from tests.components.ports.shard_engine_suite import ShardEngineSuite


class TestInProcessShardEngine(ShardEngineSuite):
    @pytest.fixture
    def engine(self) -> InProcessShardEngine:
        return InProcessShardEngine()

    def test_it_has_no_overhead(self, engine: InProcessShardEngine) -> None:
        engine.map_shards(abs, [1, 2], description="work")
        assert engine.overhead_seconds == 0
