"""`longrun fit`: from a table to figures, a law and a report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.paths import ROOT


def longrun(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workflows.cli", *words]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    compute = np.repeat(np.geomspace(1e18, 1e20, 4), 7)
    n = 0.09 * compute**0.5 * np.tile(np.geomspace(0.2, 5, 7), 4)
    d = compute / 6 / n
    loss = 1.8 + 480 / n**0.35 + 2100 / d**0.37
    loss *= np.exp(0.002 * np.random.default_rng(0).standard_normal(len(n)))
    rows = [f"{i},{a:.8g},{b:.8g},{c:.6f}" for i, (a, b, c) in enumerate(zip(n, d, loss, strict=True))]
    (tmp_path / "runs.csv").write_text("\n".join(["id,size,tokens,eval loss", *rows]) + "\n")
    return tmp_path / "runs.csv"


COLUMNS = "n=size,d=tokens,loss=eval loss"


@pytest.mark.long
def test_a_table_becomes_figures_a_law_and_a_plan_that_predicts(table: Path) -> None:
    done = longrun("fit", "runs.csv", "--columns", COLUMNS, "--rounds", "200", "--output", "law.json", "--json", cwd=table.parent)
    said = json.loads(done.stdout)
    assert said["isoflop"]["n_exponent"]["low"] < 0.37 / 0.72 < said["isoflop"]["n_exponent"]["high"]
    assert said["parametric"]["alpha"]["low"] < 0.35 < said["parametric"]["alpha"]["high"]
    assert said["left_out"] == []
    plan = json.loads(longrun("plan", "--compute", "1e21", "--law", "law.json", "--json", cwd=table.parent).stdout)
    assert plan["prediction"]["low"] < plan["prediction"]["loss"] < plan["prediction"]["high"]
    assert plan["law_name"] == "law"


def test_the_text_shows_intervals(table: Path) -> None:
    shown = longrun("fit", "runs.csv", "--columns", COLUMNS, "--rounds", "100", cwd=table.parent).stdout
    for words in ("28 runs, 100 bootstrap rounds", "IsoFLOP profiles", "n_exponent", "alpha", "["):
        assert words in shown


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda text: text.replace("\n3,", "\n3,-"), 1, "line 5, size is '-"),
        (
            lambda text: "\n".join([*text.splitlines()[:-1], "27,1e8,1e10,nan"]),
            1,
            "line 29, eval loss is 'nan'; allowed: a positive",
        ),
        (lambda text: "\n".join(text.splitlines()[:15]), 1, "2 budgets; a law of compute needs at least 3"),
        (lambda text: text.replace("tokens", "words"), 2, "has no column tokens; it has: id, size, words, eval loss"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(change: object, code: int, message: str, table: Path) -> None:
    table.write_text(change(table.read_text()))  # type: ignore[operator]
    done = longrun("fit", "runs.csv", "--columns", COLUMNS, cwd=table.parent)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_nothing_is_written_unless_asked_for(table: Path) -> None:
    longrun("fit", "runs.csv", "--columns", COLUMNS, "--rounds", "100", cwd=table.parent)
    assert [path.name for path in table.parent.iterdir()] == ["runs.csv"]
