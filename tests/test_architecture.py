"""The shape of the code: layers, light imports, documented names."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import MODULES, PACKAGES, ROOT

CONFIGS = sorted([*(ROOT / "components").glob("*/config.py"), ROOT / "components/checks/limits.py"])
STAGES = ("alignment", "checks", "curation", "evaluation", "pretraining", "registration", "scaling", "tokenizer", "training")
HEAVY = ("torch", "ray", "great_expectations", "pandas", "transformers", "deepspeed", "lm_eval", "numpy", "pyarrow")


def _lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "300"})


def test_the_import_contracts_hold() -> None:
    done = _lint(ROOT)
    assert done.returncode == 0, done.stdout


INTRUDERS = {
    "components know neither machines nor services": ("components/curation/cluster.py", "import ray\n"),
    "stages are independent": (
        "components/curation/shortcut.py",
        "import components.tokenizer.config\nimport components.scaling.config\n",
    ),
    "workflows say what": ("components/curation/upward.py", "import infra.settings\n"),
    "infra sees artifacts": ("infra/insight.py", "import components.curation.config\n"),
    "each in a package that knows those before it": (
        "components/curation/text/early.py",
        "import components.curation.tables\n",
    ),
    "a step knows neither": ("workflows/steps/ahead.py", "import workflows.recipe\n"),
    "which know variables and URLs alone": ("infra/caching.py", "import infra.settings\n"),
    "pure arithmetic": ("components/scaling/tensors.py", "import torch\n"),
    "planning does not need fitting": ("components/scaling/planning/notes.py", "import components.scaling.fitting.robust\n"),
    "components.novelty": ("components/novelty/__init__.py", ""),
}


@pytest.mark.parametrize("contract", INTRUDERS)
def test_an_import_against_the_layers_breaks_its_contract(contract: str, tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    name, text = INTRUDERS[contract]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text, encoding="utf-8")
    done = _lint(tmp_path)
    assert done.returncode == 1
    assert Path(name).parent.name in done.stdout.partition("Broken contracts")[2]
    assert contract in done.stdout.replace("\n", " ")


def test_infra_is_kept_from_every_package_of_the_components_but_those_it_needs() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    forbidden = next(contract for contract in contracts if contract.get("source_modules") == ["infra"])["forbidden_modules"]
    children = {path.stem for path in (ROOT / "components").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    seen = {"__init__", "artifacts", "decides", "errors", "extensions", "files", "interim", "locks", "ports"}
    assert set(forbidden) == {f"components.{child}" for child in children - seen}


def test_every_stage_has_a_config() -> None:
    assert {path.parent.name for path in CONFIGS} >= set(STAGES)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
def test_importing_a_config_loads_nothing_heavy(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    code = f"import sys, {module}; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_importing_the_pipeline_loads_nothing_heavy() -> None:
    code = f"import sys, workflows.pipeline; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    variables = {name: value for name, value in os.environ.items() if name != "LONGRUN_PROFILE"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=variables)
    assert done.stdout.strip() == ""


def test_the_packages_are_ours_and_not_those_of_a_distribution_with_the_same_name() -> None:
    code = "import components, infra, workflows; print(components.__file__, infra.__file__, workflows.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [Path(name).parent.parent for name in done.stdout.split()] == [ROOT] * 3


def _undocumented(tree: ast.Module) -> Iterator[str]:
    if tree.body and not ast.get_docstring(tree):
        yield "the module"
    for node in _public(tree.body):
        if not ast.get_docstring(node):
            yield node.name


def _public(body: list[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_public_name_has_a_docstring(path: Path) -> None:
    assert list(_undocumented(ast.parse((ROOT / path).read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "text", ["def f(): ...", '"""M."""\ndef f(): ...', '"""M."""\nclass C:\n    """C."""\n    def f(self): ...']
)
def test_a_name_without_a_docstring_is_found(text: str) -> None:
    assert list(_undocumented(ast.parse(text))) != []


def _unexplained(tree: ast.Module) -> Iterator[str]:
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for field, following in zip(owner.body, [*owner.body[1:], None], strict=True):
            explained = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and not explained:
                yield f"{owner.name}.{field.target.id}"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
def test_every_field_of_a_config_is_followed_by_its_unit_or_reason(path: Path) -> None:
    assert list(_unexplained(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_a_field_without_a_reason_is_found() -> None:
    assert list(_unexplained(ast.parse("class C:\n    a: int = 1\n    b: int = 2\n    'reason'\n"))) == ["C.a"]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_fits_in_the_head(path: Path) -> None:
    assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) < 400


def test_one_module_reads_environment_variables_and_another_those_of_the_hub() -> None:
    reading = re.compile(r"os\.environ\b(?!\[[^\]]+\] = |\.setdefault|\.update|\.pop)|\bgetenv\b")
    readers = [str(path) for path in MODULES if reading.search((ROOT / path).read_text(encoding="utf-8"))]
    assert readers == ["components/hub.py", "infra/variables.py"]
