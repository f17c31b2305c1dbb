"""Every command that a page shows is run by a test or is an exception with a reason, and the command line knows it."""

import csv
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cluster.simulation import parsed
from tests.end_to_end import test_own_code, test_own_data
from tests.end_to_end.commands import copied
from tests.pages.covered import ELSEWHERE, NOT_RUN, SMALLER
from tests.pages.shown import PAGES, commands_of, shown, shown_on
from tests.paths import ROOT
from workflows.cli.main import app

ANYWHERE = ("curation-plan", "doctor", "fit", "plan", "profile", "recipes", "show", "sweeps")
"""Commands that need no run."""

READING = ("batch", "inspect", "lineage", "logs", "models", "report", "runs", "status")
"""Commands that look at a finished run and leave its artifacts as they are."""


def matching(command: str) -> list[str]:
    """The patterns of both lists that name a command."""
    return [pattern for pattern in [*ELSEWHERE, *NOT_RUN] if fnmatchcase(command, pattern)]


def uncovered(commands: list[str]) -> list[str]:
    """Commands that no test runs and no list excuses."""
    return [command for command in commands if not command.startswith("longrun ") and not matching(command)]


def short(command: str) -> str:
    """The form of a command that is run: `tiny` for `smoke`, and what `SMALLER` says."""
    for pattern, (old, new) in SMALLER.items():
        if fnmatchcase(command, pattern):
            command = command.replace(old, new)
    return " ".join("tiny" if word == "smoke" else word for word in command.split(" "))


def kind_of(command: str) -> str:
    """What a command needs: nothing, a finished run, or time and a run of its own."""
    name = command.split()[1]
    if name in ANYWHERE or "--help" in command:
        return "anywhere"
    return "reading" if name in READING else "running"


def run_here(kind: str) -> list[str]:
    """The commands of one kind that are run here, in their short form, each once."""
    own = [command for command in shown() if command.startswith("longrun") and not matching(command)]
    return [command for command in dict.fromkeys(map(short, own)) if kind_of(command) == kind]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_run_by_a_test_or_has_a_reason(page: Path) -> None:
    assert uncovered(shown_on(page)) == []


def test_a_command_that_nothing_runs_is_noticed_in_a_block_and_in_a_table() -> None:
    text = "```sh\ncurl x \\\n  y   # a comment\n.venv/bin/longrun runs\n```\n\n| a | `mlflow gc` |\n"
    commands = list(commands_of(text, tables=True))
    assert commands == ["curl x y", "longrun runs", "mlflow gc"]
    assert uncovered(commands) == ["curl x y", "mlflow gc"]


def test_every_entry_of_the_lists_is_about_a_command_that_a_page_shows() -> None:
    patterns = {pattern for command in shown() for pattern in matching(command)}
    assert {*ELSEWHERE, *NOT_RUN} - patterns == set()
    own = [command for command in shown() if not matching(command)]
    for pattern, (old, _) in SMALLER.items():
        assert [command for command in own if fnmatchcase(command, pattern) and old in command], pattern


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_a_test_that_the_list_names_exists(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", sorted(set(NOT_RUN.values())))
def test_a_file_that_a_reason_names_exists(reason: str) -> None:
    assert [path for path in re.findall(r"tests/[\w/]+\.py", reason) if not (ROOT / path).is_file()] == []


def test_every_target_of_make_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "\n".join([*shown(), *(page.read_text(encoding="utf-8") for page in PAGES if page.name != "CHANGELOG.md")])
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("command", [command for command in shown() if command.startswith("longrun ")], ids=str)
def test_the_command_line_knows_every_command_and_its_options(command: str) -> None:
    words = shlex.split(command)[1:]
    if "--help" not in words:
        parsed(words)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that commands on pages name."""
    folder = tmp_path_factory.mktemp("desk")
    test_own_data.write_recipe(folder)
    test_own_code.write_recipe(folder)
    with (folder / "runs.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("params", "tokens", "loss"), *_runs()])
    (match,) = re.findall(r"```toml\n# site\.toml\n(.*?)```", (ROOT / "infra/cluster_runs.md").read_text(), re.DOTALL)
    values, _, digests = str(match).partition("[image_digests]")
    lines, _, rest = digests.partition("\n\n")
    (folder / "site.toml").write_text(f"{values}\n{rest}")
    (folder / ".longrun").mkdir()
    (folder / ".longrun" / "images.toml").write_text(f"[image_digests]{lines}\n".replace("sha256:…", f"sha256:{'0' * 64}"))
    return folder


def _runs() -> Iterator[tuple[float, float, float]]:
    """Runs of a known law, on five budgets."""
    for compute in (1e18, 3e18, 1e19, 3e19, 1e20):
        for parameters in (2e7, 5e7, 1e8, 2e8, 4e8, 8e8):
            tokens = compute / (6 * parameters)
            yield parameters, tokens, 1.8 + 480 / parameters**0.35 + 2100 / tokens**0.37


def _called(command: str, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call a command in this process, as if in `folder`."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LONGRUN_HOME", str(home))
    ended = CliRunner().invoke(app, shlex.split(command)[1:])
    assert ended.exit_code == 0, (ended.output, ended.exception)
    assert ended.output.strip()


@pytest.mark.parametrize("command", sorted(run_here("anywhere"), key=lambda command: "--law law.json" in command), ids=str)
def test_a_command_that_needs_no_run_does_what_a_page_says(
    command: str, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--law law.json" in command and not (desk / "law.json").exists():
        (fit,) = (command for command in run_here("anywhere") if command.startswith("longrun fit"))
        _called(fit, desk, tmp_path, monkeypatch)
    _called(command, desk, tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def read_home(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(finished, tmp_path_factory.mktemp("read"))


@pytest.mark.ray
@pytest.mark.parametrize("command", run_here("reading"), ids=str)
def test_a_command_that_looks_at_a_run_does_what_a_page_says(
    command: str, desk: Path, read_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _called(command, desk, read_home, monkeypatch)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("command", run_here("running"), ids=str)
def test_a_command_that_runs_a_recipe_does_what_a_page_says(command: str, desk: Path, finished: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "workflows.cli", *shlex.split(command)[1:]]
    environment = {**os.environ, "LONGRUN_HOME": str(copied(finished, tmp_path)), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(words, cwd=desk, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr + ended.stdout
