"""The commands about scaling laws, in this process."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workflows.cli.main import app
from workflows.sweeps.sweep import BUILT_IN


def printed(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    if result.exception:
        raise result.exception
    return result.output


def test_every_built_in_sweep_is_listed() -> None:
    assert list(json.loads(printed("sweeps", "--json"))) == list(BUILT_IN)


def test_options_of_a_plan_reach_it() -> None:
    words = ("plan", "--compute", "1e20", "--tokens", "2e9", "--sequence-length", "2048", "--gpus", "8", "--price", "2", "--json")
    plan = json.loads(printed(*words))
    assert plan["tokens"] == pytest.approx(2e9, rel=0.01)
    assert plan["sequence_length"] == 2048
    assert (plan["cluster"]["gpus"], plan["cluster"]["price"]) == (8, 2)


def test_a_fit_writes_the_law_that_it_prints(tmp_path: Path) -> None:
    rows = ["n,d,loss"]
    rows += [f"{n:.0f},{d:.0f},{1.7 + 400 / n**0.34 + 410 / d**0.28}" for n in (1e7, 1e8, 1e9) for d in (1e8, 1e9, 1e10)]
    (tmp_path / "runs.csv").write_text("\n".join(rows) + "\n")
    words = ("fit", str(tmp_path / "runs.csv"), "--columns", "n=n,d=d,loss=loss", "--rounds", "100")
    text = printed(*words, "--output", str(tmp_path / "mine.json"), "--home", str(tmp_path / "home"))
    assert "9 runs, 100 bootstrap rounds" in text
    assert json.loads((tmp_path / "mine.json").read_text())["name"] == "mine"
