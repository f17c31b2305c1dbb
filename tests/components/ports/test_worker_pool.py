"""The worker pool in this process keeps the promises of the port."""

import pytest

from components.ports import InProcessPool
from tests.components.ports.worker_pool_suite import WorkerPoolSuite


class TestInProcessPool(WorkerPoolSuite):
    @pytest.fixture
    def pool(self) -> InProcessPool:
        return InProcessPool()
