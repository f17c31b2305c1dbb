"""A recipe's own checks are run and reported together with the built-in ones, whether critical or not."""

import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from components.checks import suite
from components.checks.limits import CheckLimits, PlanLimits
from components.checks.own import own_tables
from components.errors import ConfigError, ExtensionError
from components.extensions import Extension, gathered

TEXT = '''import pandas as pd

from components.checks.rules import between
from components.checks.suite import Table


class FewFiles:
    """The artifact has no more files than that."""

    def __init__(self, max_files: int, critical: bool = True) -> None:
        self.max_files, self.critical = max_files, critical

    def tables(self, artifact):
        rows = pd.DataFrame({"folder": ["all"], "files": [len(list(artifact.rglob("*.*")))]})
        rules = (between("files", 1, self.max_files, critical=self.critical),)
        return [Table(name="folders", rows=rows, key=("folder",), rules=rules)]
'''


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., Extension]:
    """A check of this text."""

    def make(text: str = TEXT, name: str = "FewFiles", **values: object) -> Extension:
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / "checks.py").write_text(text)
        return gathered(Extension(code=f"checks.py:{name}", values=values), tmp_path / "own")

    return make


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A folder with three files."""
    (tmp_path / "artifact").mkdir()
    for name in "abc":
        (tmp_path / "artifact" / f"{name}.txt").touch()
    return tmp_path / "artifact"


@pytest.mark.parametrize(
    ("values", "passed", "failures"),
    [({"max_files": 3}, True, 0), ({"max_files": 2}, False, 1), ({"max_files": 2, "critical": False}, True, 0)],
)
def test_what_it_expects_is_judged_with_the_rest_and_stops_the_run_if_it_is_critical(
    check: Callable[..., Extension], artifact: Path, values: dict[str, object], passed: bool, failures: int
) -> None:
    report = suite.run("plan", own_tables(PlanLimits(own_checks=(check(**values),)), artifact), artifact)
    (expectation,) = report.expectations
    assert expectation.name == f"few-files folders: files is between 1 and {values['max_files']}"
    assert expectation.observed == ("3" if values["max_files"] == 3 else "1 of 1 rows: files 3, folder all")
    assert (report.passed, len(report.failures)) == (passed, failures)
    assert "few-files folders: files is between 1 and" in (artifact / "plan.html").read_text()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1 / 0", r"check checks\.py:Own, checks\.py:3: ZeroDivisionError: division by zero; while checking \S+artifact"),
        ("return None", "TypeError: 'NoneType' object is not iterable"),
        (
            "return [artifact]",
            r"check checks\.py:Own returned PosixPath; it must be a class with a method tables",
        ),
    ],
)
def test_a_check_that_fails_or_returns_something_else_is_named(
    check: Callable[..., Extension], artifact: Path, body: str, message: str
) -> None:
    own = check(f"class Own:\n    def tables(self, artifact):\n        {body}\n", "Own")
    with pytest.raises(ExtensionError, match=message):
        own_tables(PlanLimits(own_checks=(own,)), artifact)


def test_each_name_stands_once_in_a_check(check: Callable[..., Extension]) -> None:
    own = check(max_files=1)
    with pytest.raises(ConfigError, match=r"CheckLimits\.plan\.own_checks is \['few-files', 'few-files'\]; allowed: each name"):
        CheckLimits(plan=PlanLimits(own_checks=(own, own)))


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(CheckLimits)])
def test_every_check_asks_the_recipe_s_own(
    name: str, check: Callable[..., Extension], output: Path, request: pytest.FixtureRequest
) -> None:
    limits = dataclasses.replace(getattr(CheckLimits(), name), own_checks=(check(max_files=0),))
    trained = name in {"pretraining", "sft", "dpo"}
    artifact = request.getfixturevalue("checkpoint" if trained else name)
    more = {"tokenizer": request.getfixturevalue("tokenizer")} if name == "token_shards" else {}
    module = importlib.import_module(f"components.checks.{'training' if trained else name}")
    report = module.check(limits, artifact=artifact, output=output, **more)
    assert report.failures[-1].name == "few-files folders: files is between 1 and 0"
