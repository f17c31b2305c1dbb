"""One finished home of recipe `tiny` for all: making it takes longer than most of what is asked of it."""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tests.end_to_end.commands import copied, ran


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after `longrun run tiny`, not to be changed. Test processes beside one another share it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    place = shared / "chain"
    with FileLock(shared / "chain.lock"):
        if not (place / "finished").exists():
            _run(place)
    return place / "home"


def _run(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    for name in ("user", "temporary"):
        (place / name).mkdir(parents=True)
    # the place for temporary files is too long for Ray's sockets
    environment = {**os.environ, "HOME": str(place / "user"), "TMPDIR": str(place / "temporary")}
    ran("run", "tiny", home=place / "home", environment=environment)
    (place / "finished").touch()


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished home of one's own, moved to another place."""
    return copied(finished, tmp_path)
