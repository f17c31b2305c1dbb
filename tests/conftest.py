"""What every test shares: quiet dependencies, steady property tests, and one Ray for all."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from infra.settings import quieten

quieten()
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `gpu` say why they do not run where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no GPU on this machine")


@pytest.fixture(scope="session")
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real Ray of two CPUs on this machine."""
    from infra.local_ray import ensure_ray, stop_ray

    home = tmp_path_factory.mktemp("ray")
    ensure_ray(home, cpus=2)
    yield
    stop_ray(home)
