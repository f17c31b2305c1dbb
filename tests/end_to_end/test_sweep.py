"""A sweep by its command: killed half-way, gone on with, judged, and reused."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from components.scaling.laws.text_law import TextLaw
from components.scaling.sweeps.table import read_table
from tests.end_to_end.commands import artifact_directory, command, copied, events, manifest, ran, steps

pytestmark = pytest.mark.ray

TRAININGS = 16


def points(home: Path) -> set[str]:
    return {path.parent.name for path in (home / "artifacts" / "sweep_point").glob("*/current.json")}


@pytest.fixture(scope="module")
def killed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A home in which a sweep was killed when some of its trainings were done, and which ones were."""
    home = copied(finished, tmp_path_factory.mktemp("sweep"))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(command("sweep", "tiny-ladder", home=home), cwd=home.parent, start_new_session=True, **quiet)
    while len(points(home)) < 3 and running.poll() is None:
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return home, points(home)


@pytest.fixture(scope="module")
def judged(killed: tuple[Path, set[str]]) -> tuple[Path, str]:
    """The same home after the same command, and what it printed."""
    home, _ = killed
    return home, ran("sweep", "tiny-ladder", home=home)


def test_a_killed_sweep_goes_on_with_what_is_missing(killed: tuple[Path, set[str]], judged: tuple[Path, str]) -> None:
    home, before = killed
    assert 3 <= len(before) < TRAININGS
    assert steps(home, "made").count("sweep_point") == TRAININGS - len(before)
    assert len(points(home)) == TRAININGS


def test_it_ends_with_a_law_a_prediction_and_a_verdict(judged: tuple[Path, str]) -> None:
    home, shown = judged
    verdict = manifest(home, "verdict").figures
    assert (verdict["position"] == "inside") == (verdict["low"] <= verdict["actual"] <= verdict["high"])
    assert manifest(home, "pretraining").figures["bits_per_byte"] == verdict["actual"]
    assert manifest(home, "extrapolation").figures["prediction"]["loss"] == verdict["predicted"]
    for words in ("M_opt grows as C^", "predicted", "measured", "law.json", "report.html"):
        assert words in shown


def test_it_says_how_much_of_the_processors_time_was_not_training(judged: tuple[Path, str]) -> None:
    home, shown = judged
    (said,) = events(home, "overhead")
    assert said["ratio"] == pytest.approx(said["wall_seconds"] * said["workers"] / said["core_seconds"])
    assert said["ratio"] > 1
    assert re.search(r"2 workers trained for .*: \d\.\d{3} s of worker time per second of training", shown)


def test_every_training_is_an_input_of_the_table_and_the_predicted_one_joins_it(judged: tuple[Path, str]) -> None:
    home, _ = judged
    table = manifest(home, "sweep_runs")
    assert len([name for name in table.inputs if name.startswith("points.")]) == TRAININGS
    assert len(read_table(artifact_directory(home, "verdict") / "runs.csv")) == TRAININGS + 1


def test_the_same_sweep_again_trains_nothing(judged: tuple[Path, str]) -> None:
    home, _ = judged
    assert "measured" in ran("sweep", "tiny-ladder", home=home)
    assert steps(home, "made") == []


@pytest.mark.slow
def test_a_grid_ends_with_the_laws_of_batch_and_rate_and_their_contours(judged: tuple[Path, str]) -> None:
    home, _ = judged
    assert "learning rate grows as C^" in ran("sweep", "tiny-grid", home=home)
    assert (artifact_directory(home, "hyper_parameter_law") / "hyper-parameters.png").is_file()


@pytest.mark.slow
def test_a_sweep_in_two_vocabularies_ends_with_the_law_of_the_text_and_a_verdict(judged: tuple[Path, str]) -> None:
    home, _ = judged
    shown = ran("sweep", "tiny-text", home=home)
    law = TextLaw.read(artifact_directory(home, "text_law"))
    assert [vocabulary.vocab_size for vocabulary in law.vocabularies] == [320, 512]
    assert len(read_table(artifact_directory(home, "text_law") / "runs.csv")) == 18
    assert law.vocabularies[0].bytes_per_token < law.vocabularies[1].bytes_per_token
    for words in ("vocabulary  bytes per token", "best model by FLOPs", "measured", "text-law.json"):
        assert words in shown
    assert "vocabulary  bytes per token" in ran("law", "latest", home=home)
    assert manifest(home, "verdict").figures["actual"] == manifest(home, "pretraining").figures["bits_per_byte"]


@pytest.mark.slow
def test_a_recipe_planned_by_the_law_of_a_sweep_is_judged_by_it(judged: tuple[Path, str]) -> None:
    home, _ = judged
    (law,) = home.glob("artifacts/verdict/*/*/law.json")
    ran("run", "tiny", "--set", f"scaling.law={law}", home=home)
    predicted = manifest(home, "scaling").figures["prediction"]["loss"]
    verdict = manifest(home, "verdict").figures
    assert verdict["predicted"] == predicted
    assert verdict["actual"] == manifest(home, "pretraining").figures["bits_per_byte"]
    card = (artifact_directory(home, "registration") / "README.md").read_text()
    assert f"predicted {predicted:.4f} bits per byte" in card
