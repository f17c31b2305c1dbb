"""What every test shares: quiet dependencies, steady property tests, and one Ray for all."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from infra.settings import quieten

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
