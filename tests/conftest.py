"""What every test shares: quiet dependencies, steady property tests, one Ray for all, and servers for a module."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from infra.settings import quieten
from tests import servers

quieten()
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real Ray of two CPUs on this machine."""
    from infra.local_ray import ensure_ray, stop_ray

    home = tmp_path_factory.mktemp("ray")
    ensure_ray(home, cpus=2)
    yield
    stop_ray(home)


@pytest.fixture(scope="module")
def database() -> Iterator[servers.Postgres]:
    """A real Postgres; not below pytest's own folder, which is closed to the user that Postgres runs as."""
    with tempfile.TemporaryDirectory(prefix="longrun-pg-") as place:
        Path(place).chmod(0o755)
        with servers.postgres(Path(place) / "postgres") as running:
            yield running


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 API."""
    with servers.object_store(tmp_path_factory.mktemp("store") / "log") as url:
        yield url
