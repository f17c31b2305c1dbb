"""The command line itself: instant, complete, and readable by machines."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.paths import ROOT

HEAVY = ("torch", "ray", "great_expectations", "mlflow", "transformers", "lm_eval", "deepspeed")


def longrun(*words: str, cwd: Path) -> str:
    command = [sys.executable, "-m", "workflows.cli", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys, json\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(ended.stdout))


def test_importing_the_pipeline_loads_nothing_heavy() -> None:
    assert loaded_by("import workflows.pipeline") == set()


def test_our_workflows_package_is_the_one_imported() -> None:
    import workflows

    assert Path(workflows.__file__ or "").parents[1] == ROOT


def test_the_version_is_that_of_the_installation(tmp_path: Path) -> None:
    assert longrun("--version", cwd=tmp_path).strip() == version("longrun")


@pytest.mark.parametrize(
    "words",
    [
        ["recipes"],
        ["show", "tiny"],
        ["plan", "--compute", "1e21"],
        ["curation-plan", "tiny"],
        ["runs"],
        ["models"],
        ["gc"],
        ["doctor"],
    ],
)
def test_every_reading_command_speaks_json(words: list[str], tmp_path: Path) -> None:
    json.loads(longrun(*words, "--json", cwd=tmp_path))


def test_reading_commands_leave_no_database_behind(tmp_path: Path) -> None:
    longrun("models", cwd=tmp_path)
    longrun("runs", cwd=tmp_path)
    assert not (tmp_path / ".longrun").exists()


def test_show_prints_the_value_that_an_override_set(tmp_path: Path) -> None:
    shown = longrun("show", "tiny", "--set", "sft.epochs=3", "--set", "checks.plan.max_warmup_share=0.5", cwd=tmp_path)
    assert "sft.epochs = 3" in shown
    assert "checks.plan.max_warmup_share = 0.5" in shown


def test_plan_gives_the_papers_learning_rate_at_its_7b_budget(tmp_path: Path) -> None:
    plan = json.loads(longrun("plan", "--compute", "8.45e22", "--json", cwd=tmp_path))
    assert plan["learning_rate"] == pytest.approx(4.25e-4, rel=2e-3)
