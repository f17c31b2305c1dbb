"""A finished home for each test that changes it."""

from pathlib import Path

import pytest

from tests.end_to_end.commands import copied


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished home of one's own, moved elsewhere."""
    return copied(finished, tmp_path)
