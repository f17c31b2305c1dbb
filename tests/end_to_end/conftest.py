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


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished home of one's own, moved elsewhere."""
    return copied(finished, tmp_path)
