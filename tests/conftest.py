"""What every test shares: quiet dependencies, steady property tests, one Ray for all, and servers for a module."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from components.extensions import unpack_below
from infra.variables import numba_cache, quieten, set_variable
from tests import servers
from tests.end_to_end.commands import ran
from tests.hub_server import Hub, hub

# Threads that wait by spinning take the processors from the other test process.
set_variable("GOMP_SPINCOUNT", "0")
set_variable("NUMBA_CACHE_DIR", str(numba_cache(Path(tempfile.gettempdir()))))
quieten()
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `gpu` say why they do not run where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no GPU on this machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs Ray takes longest, so it begins: processes that share the tests by file end together.

    The first file that asks for the finished home makes it; the others come late enough not to wait for it.
    """
    makers = [item.path for item in items if "finished" in item.fixturenames]  # type: ignore[attr-defined]

    def turn(item: pytest.Item) -> tuple[bool, bool]:
        return item.get_closest_marker("ray") is None, item.path in makers and item.path != makers[0]

    items.sort(key=turn)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after `longrun run tiny`, not to be changed. Test processes beside one another share it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    root = shared / "chain"
    with FileLock(shared / "chain.lock"):
        if not (root / "finished").exists():
            _run(root)
    return root / "home"


def _run(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    for name in ("user", "temporary"):
        (root / name).mkdir(parents=True)
    # pytest's directory for temporary files has too long a name for Ray's sockets
    environment = {**os.environ, "HOME": str(root / "user"), "TMPDIR": str(root / "temporary")}
    ran("run", "tiny", home=root / "home", environment=environment)
    (root / "finished").touch()


@pytest.fixture(scope="session", autouse=True)
def _unpacked_code(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Code of recipes is unpacked where pytest tidies up: its processes beside one another end without doing so."""
    unpack_below(tmp_path_factory.getbasetemp() / "extensions")


@pytest.fixture(scope="session")
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real Ray of two CPUs on this machine."""
    from infra.ray.local import ensure_ray, stop_ray

    home = tmp_path_factory.mktemp("ray")
    ensure_ray(home / "ray", cpus=2)
    yield
    stop_ray(home / "ray")


@pytest.fixture(scope="module")
def database() -> Iterator[servers.Postgres]:
    """A real Postgres; not below pytest's own folder, which is closed to the user that Postgres runs as."""
    if not servers.postgres_is_reachable():
        pytest.skip("Postgres does not run as root, and another user cannot reach its programs in this folder")
    with tempfile.TemporaryDirectory(prefix="longrun-pg-") as directory:
        Path(directory).chmod(0o755)
        with servers.postgres(Path(directory) / "postgres") as running:
            yield running


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 API."""
    with servers.object_store(tmp_path_factory.mktemp("store") / "log") as url:
        yield url


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server that speaks the API of the Hugging Face hub, without repositories; `HF_ENDPOINT` names it."""
    monkeypatch.setattr("components.hub._PAUSE", 0.0)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running
