"""The Ray of a run: its state in the home, its sockets' paths short enough, and nothing of it left."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from infra.ray import local
from tests.paths import ROOT

LONG = "a" * 60
SCRIPT = """
import sys, pathlib
from infra.ray.local import ensure_ray, stop_ray
home = pathlib.Path(sys.argv[1])
assert ensure_ray(home / "ray", cpus=1) > 0
import ray
state = pathlib.Path(ray._private.worker.global_worker.node.get_temp_dir_path())
token = home / "ray" / "token"
assert state.resolve() == (home / "ray").resolve() and state != home / "ray", state
assert token.stat().st_mode & 0o777 == 0o600 and len(token.read_text()) == 64
session = ray.get_runtime_context().get_node_id()
ensure_ray(home / "ray")
assert ray.get_runtime_context().get_node_id() == session
stop_ray(home / "ray")
assert not ray.is_initialized() and not (home / "ray").exists() and not state.is_symlink()
"""


def test_a_short_home_needs_no_link_and_a_long_one_has_one_of_its_own(tmp_path: Path) -> None:
    short, long = Path("/home/me/.longrun/ray"), tmp_path / LONG / "ray"
    assert local._short_path(short) == short
    link = local._short_path(long)
    try:
        assert link.readlink() == long
        assert len(str(link)) <= 40
        assert local._short_path(long) == link  # one that was left is replaced
        assert local._link(tmp_path / LONG / "other") != link
    finally:
        local.stop_ray(long)
    assert not link.is_symlink()


def test_a_temporary_folder_that_is_too_long_itself_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / LONG))
    assert local._link(tmp_path).parent == Path("/tmp")


def test_nothing_is_stopped_where_nothing_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    (tmp_path / "kept").touch()
    local.stop_ray(tmp_path / "ray")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.ray
@pytest.mark.slow
def test_a_ray_keeps_its_state_in_the_home_and_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / LONG
    variables = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    command = [sys.executable, "-c", SCRIPT, str(home)]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_thread_of_ours_starts_a_ray_by_asking_one_that_is_left() -> None:
    code = "from infra.variables import quieten; quieten(); import ray; ray.nodes()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Ray has not been started yet" in done.stderr
