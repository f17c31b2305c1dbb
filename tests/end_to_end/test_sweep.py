"""A sweep by its command: killed half-way, gone on with, judged, and reused."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.scaling.table import read_table
from workflows.journal import find_journal

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

TRAININGS = 16


def command(home: Path) -> list[str]:
    return [sys.executable, "-m", "workflows.cli", "sweep", "tiny-ladder", "--home", str(home)]


def events(home: Path) -> list[dict[str, Any]]:
    return find_journal(home / "runs", "latest").events()


def points(home: Path) -> set[str]:
    return {path.parent.name for path in (home / "artifacts" / "sweep_point").glob("*/manifest.json")}


def manifest(home: Path, step: str) -> dict[str, Any]:
    (path,) = (home / "artifacts" / step).glob("*/manifest.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A home in which a sweep was killed when some of its trainings were done, and which ones were."""
    home = tmp_path_factory.mktemp("sweep") / "home"
    running = subprocess.Popen(
        command(home),
        cwd=home.parent,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while len(points(home)) < 3 and running.poll() is None:
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return home, points(home)


@pytest.fixture(scope="module")
def finished(killed: tuple[Path, set[str]]) -> tuple[Path, str]:
    """The same home after the same command, and what it printed."""
    home, _ = killed
    ended = subprocess.run(command(home), cwd=home.parent, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return home, ended.stdout


def test_a_killed_sweep_goes_on_with_what_is_missing(killed: tuple[Path, set[str]], finished: tuple[Path, str]) -> None:
    home, before = killed
    made = [event for event in events(home) if event["event"] == "made" and event["step"] == "sweep_point"]
    assert 3 <= len(before) < TRAININGS
    assert len(made) == TRAININGS - len(before)
    assert len(points(home)) == TRAININGS


def test_it_ends_with_a_law_a_prediction_and_a_verdict(finished: tuple[Path, str]) -> None:
    home, shown = finished
    verdict = manifest(home, "verdict")["figures"]
    assert (verdict["place"] == "inside") == (verdict["low"] <= verdict["actual"] <= verdict["high"])
    assert manifest(home, "pretraining")["figures"]["bits_per_byte"] == verdict["actual"]
    assert manifest(home, "extrapolation")["figures"]["prediction"]["loss"] == verdict["predicted"]
    for words in ("M_opt grows as C^", "predicted", "came out", "law.json", "report.html"):
        assert words in shown


def test_it_says_how_much_of_the_processors_time_was_not_training(finished: tuple[Path, str]) -> None:
    home, shown = finished
    (said,) = [event for event in events(home) if event["event"] == "overhead"]
    assert said["ratio"] == pytest.approx(said["wall_seconds"] * said["workers"] / said["core_seconds"])
    assert said["ratio"] > 1
    assert re.search(r"2 workers trained for .* overhead \d\.\d{3}", shown)


def test_every_training_is_an_input_of_the_table_and_the_predicted_one_joins_it(finished: tuple[Path, str]) -> None:
    home, _ = finished
    table = manifest(home, "sweep_runs")
    assert len([name for name in table["inputs"] if name.startswith("points.")]) == TRAININGS
    (joined,) = (home / "artifacts" / "verdict").glob("*/runs.csv")
    assert len(read_table(joined)) == TRAININGS + 1


def test_the_same_sweep_again_trains_nothing(finished: tuple[Path, str]) -> None:
    home, _ = finished
    ended = subprocess.run(command(home), cwd=home.parent, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert [event["step"] for event in events(home) if event["event"] == "made"] == []
    assert "came out" in ended.stdout


def test_a_grid_ends_with_the_laws_of_batch_and_rate_and_their_contours(finished: tuple[Path, str]) -> None:
    home, _ = finished
    words = [sys.executable, "-m", "workflows.cli", "sweep", "tiny-grid", "--home", str(home)]
    ended = subprocess.run(words, cwd=home.parent, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert "learning rate grows as C^" in ended.stdout
    assert list((home / "artifacts" / "hyper_parameter_law").glob("*/hyper-parameters.png"))
