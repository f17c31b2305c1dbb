"""`longrun plan`: its options and what it shows."""

import json
import os
import subprocess
import sys

import pytest

from tests.paths import ROOT


def plan(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workflows.cli", "plan", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})


def test_a_plan_on_a_cluster_shows_what_it_takes_and_that_its_law_predicts_no_loss() -> None:
    shown = plan("--compute", "1e21", "--gpus", "64", "--gpu", "h100", "--mfu", "0.4", "--price", "2.5").stdout
    for words in (
        "11.0 h on 64 x h100",
        "cost",
        "kWh",
        "layout",
        "the law deepseek predicts no loss",
        "6N with embeddings",
        "of M",
    ):
        assert words in shown


@pytest.mark.parametrize(("model", "rate", "law"), [("7b", 4.2e-4, 4.25e-4), ("67b", 3.2e-4, 3.12e-4)])
def test_the_papers_models_stand_beside_what_their_law_says(model: str, rate: float, law: float) -> None:
    said = json.loads(plan("--model", model, "--json").stdout)
    assert said["learning_rate"] == rate
    assert said["law"]["learning_rate"] == pytest.approx(law, rel=2e-3)


def test_chosen_tokens_get_the_shape_that_the_budget_pays() -> None:
    said = json.loads(plan("--compute", "1e21", "--tokens", "1e11", "--json").stdout)
    assert said["tokens"] == pytest.approx(1e11, rel=0.05)
    assert said["flops_per_token"]["non_embedding"] == pytest.approx(1e10, rel=0.05)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "a plan needs --compute or --model"),
        (["--compute", "1e21", "--model", "7b"], "and not both"),
        (["--model", "13b"], "--model is '13b'; allowed: 7b, 67b"),
        (["--compute", "1e30"], "compute is 1e+30; allowed: a budget of 1e+10 to 1e+28 FLOPs"),
        (["--compute", "0"], "compute is 0.0; allowed"),
        (["--compute=-1e20"], "compute is -1e+20; allowed"),
        (["--compute", "1e21", "--law", "deepseek-early"], "only exponents were published"),
        (["--compute", "1e21", "--law", "nothing"], "no law is called 'nothing'"),
        (["--compute", "1e21", "--tokens", "-5"], "Choices.tokens is -5"),
        (["--compute", "1e21", "--gpus", "8", "--gpu", "abacus"], "Accelerators.gpu is 'abacus'; allowed: a100"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_line(words: list[str], message: str) -> None:
    done = plan(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_smallest_sensible_budget_is_planned_with_a_note() -> None:
    said = json.loads(plan("--compute", "1e12", "--json").stdout)
    assert "extrapolated" in said["notes"][0]
