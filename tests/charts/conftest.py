"""A Postgres and an S3 API, started once for all tests of the charts."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.charts import servers


@pytest.fixture(scope="session")
def database() -> Iterator[servers.Postgres]:
    """A real Postgres; not below pytest's own folder, which is closed to the user that Postgres runs as."""
    with tempfile.TemporaryDirectory(prefix="longrun-pg-") as place:
        Path(place).chmod(0o755)
        with servers.postgres(Path(place) / "postgres") as running:
            yield running


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 API."""
    with servers.object_store(tmp_path_factory.mktemp("store") / "log") as url:
        yield url
