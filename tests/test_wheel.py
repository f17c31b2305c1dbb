"""The wheel works without a checkout: it holds all files that the code reads, and requires what the locks pin."""

import json
import os
import subprocess
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from infra.distributions import LOCKS, RUNTIME_GROUPS, pins
from tests import wheel as wheels
from tests.paths import MODULES, ROOT

pytestmark = pytest.mark.long

OUTSIDE = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV", "LONGRUN_HOME"}}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.built(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.beside_our_packages(wheel, tmp_path_factory.mktemp("environment"))


def ran(program: Path, *words: str, cwd: Path) -> str:
    """What a program of the environment printed, outside of the checkout."""
    ended = subprocess.run([program, *words], cwd=cwd, env=OUTSIDE, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_it_holds_every_module_lock_and_chart(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    locks = {str(path.relative_to(ROOT)) for path in LOCKS.glob("*.txt")}
    charts = {str(path.relative_to(ROOT)) for path in (ROOT / "charts").rglob("*") if path.is_file()}
    laws = {str(path.relative_to(ROOT)) for path in (ROOT / "workflows").rglob("*.json")}
    assert {*map(str, MODULES), *locks, *charts, *laws} - held == set()


def test_it_holds_nothing_else(wheel: Path) -> None:
    folders = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"components", "infra", "workflows", "charts"}


def test_it_requires_the_locked_versions_of_everything_that_a_run_imports(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        required = Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist") or []
    locked = {f"{name}=={version}" for group in RUNTIME_GROUPS for name, version in pins(LOCKS / f"{group}.txt").items()}
    assert {requirement for requirement in required if "extra ==" not in requirement} == locked
    assert any(requirement.startswith("kubernetes==") and 'extra == "cluster"' in requirement for requirement in required)


def test_its_code_is_the_one_that_runs(programs: Path, tmp_path: Path) -> None:
    where = ran(programs / "python", "-c", "import workflows; print(workflows.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(programs.parent)


def test_help_a_recipe_and_a_plan_need_no_checkout(programs: Path, tmp_path: Path) -> None:
    assert "Run all stages" in ran(programs / "longrun", "run", "--help", cwd=tmp_path)
    shown = json.loads(ran(programs / "longrun", "show", "tiny", "--json", cwd=tmp_path))
    assert shown["curation"]["sources"][0]["distributions"]
    plan = json.loads(ran(programs / "longrun", "plan", "--compute", "1e21", "--json", cwd=tmp_path))
    assert plan["learning_rate"] > 0


def test_the_charts_are_found_by_a_deployment(programs: Path, tmp_path: Path) -> None:
    statement = "from infra.cluster.service_images import CHARTS; print((CHARTS / 'longrun' / 'Chart.yaml').is_file())"
    assert ran(programs / "python", "-c", statement, cwd=tmp_path).strip() == "True"


@pytest.mark.slow
@pytest.mark.ray
def test_in_an_environment_of_its_own_it_trains_and_registers_a_model(wheel: Path, tmp_path: Path) -> None:
    programs = wheels.by_itself(wheel, tmp_path / "environment")
    if programs is None:
        pytest.skip("uv's cache does not have all packages, and tests use no network")
    findings = json.loads(ran(programs / "longrun", "doctor", "--json", cwd=tmp_path))
    assert [finding for finding in findings if finding["state"] == "failed"] == []
    ran(programs / "longrun", "run", "tiny", cwd=tmp_path)
    assert [model["model"] for model in json.loads(ran(programs / "longrun", "models", "--json", cwd=tmp_path))] == ["tiny/1"]
    assert json.loads(ran(programs / "longrun", "verify", "tiny", "--json", cwd=tmp_path))["differences"] == {}
