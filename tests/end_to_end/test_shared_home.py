"""Several processes share a home: two runs at once, one of them killed, with `gc` and `models` running meanwhile."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.end_to_end.commands import as_json, command, hashes, longrun, ran, steps
from workflows.steps.journal import Journal

pytestmark = [pytest.mark.ray, pytest.mark.slow]

KILLS = 3
"""Rounds with a kill; each continues in the home that the last one left."""


def started(home: Path) -> subprocess.Popen[bytes]:
    """A run of `tiny` in a session of its own, so that a kill reaches its Ray too."""
    words = command("run", "tiny", home=home)
    return subprocess.Popen(words, cwd=home.parent, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def journals(home: Path) -> list[Journal]:
    return [Journal(path) for path in sorted(home.glob("runs/*"))]


def makers(home: Path) -> dict[str, int]:
    """How often each step was made, by all runs of the home."""
    made = [event["step"] for run in journals(home) for event in run.events() if event["event"] == "made"]
    return {step: made.count(step) for step in made if step != "training_state"}


def collect_and_look(home: Path) -> None:
    """What other terminals do meanwhile."""
    for words in (("gc", "--yes"), ("models",), ("runs",)):
        ended = longrun(*words, home=home)
        assert ended.returncode == 0, ended.stderr


def test_two_runs_make_each_step_once_and_register_one_version_while_gc_runs(tmp_path: Path, finished: Path) -> None:
    home = tmp_path / "home"
    both = [started(home), started(home)]
    while any(process.poll() is None for process in both):
        if (home / "mlflow" / "mlflow.db").is_file() and any(home.glob("artifacts/*/*/*/manifest.json")):
            collect_and_look(home)
        time.sleep(1)
    assert [process.wait() for process in both] == [0, 0], [process.stderr.read() for process in both if process.stderr]
    assert set(makers(home).values()) == {1}
    assert [model["model"] for model in as_json("models", home=home)] == ["tiny/1"]
    assert hashes_of(home, "pretraining") == hashes(finished, "pretraining")
    assert as_json("verify", "tiny", home=home)["differences"] == {}


@pytest.mark.parametrize("seed", range(KILLS))
def test_one_of_two_runs_is_killed_at_any_point_and_the_other_loses_nothing(tmp_path: Path, finished: Path, seed: int) -> None:
    home, chance = tmp_path / "home", random.Random(seed)
    both = [started(home), started(home)]
    events = chance.randint(2, 35)
    while sum(len(run.events()) for run in journals(home)) < events:
        assert all(process.poll() is None for process in both)
        time.sleep(0.05)
    time.sleep(chance.uniform(0, 3))
    victim, other = chance.sample(both, 2)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    while other.poll() is None:
        collect_and_look(home)
    assert other.returncode == 0, other.stderr and other.stderr.read()
    assert set(makers(home).values()) == {1}
    assert [model["model"] for model in as_json("models", home=home)] == ["tiny/1"]
    assert hashes_of(home, "pretraining") == hashes(finished, "pretraining")
    ran("run", "tiny", home=home)
    assert steps(home, "made") == []
    assert not [*home.glob("writing/*"), *home.glob("ray/*")]


def hashes_of(home: Path, step: str) -> dict[str, str]:
    """sha256 of each content file of the artifact of a step, whichever run made it."""
    from components.artifacts import MANIFEST, Manifest

    (directory,) = home.glob(f"artifacts/{step}/*/*/{MANIFEST}")
    manifest = Manifest.from_bytes(directory.read_bytes(), step)
    return {record.path: record.sha256 for record in manifest.files if not record.record}
