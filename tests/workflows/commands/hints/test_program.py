"""Commands that are printed can be pasted: they call longrun as it was called, in the same home."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from infra.settings import Settings
from tests.paths import ROOT
from workflows.commands.hints import as_called, pasted, program


@pytest.fixture
def bin_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a program of that name, which the shell does not search."""
    directory = tmp_path / "some where" / "bin"
    directory.mkdir(parents=True)
    (directory / "longrun").write_text("#!/bin/sh\n")
    (directory / "longrun").chmod(0o755)
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.chdir(directory.parent)
    return directory


def test_a_program_that_the_shell_finds_is_called_by_its_name(bin_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bin_directory))
    assert program(str(bin_directory / "longrun"), ["python", str(bin_directory / "longrun")]) == "longrun"


@pytest.mark.parametrize("called", ["bin/longrun", "./bin/longrun", "../some where/bin/longrun"])
def test_a_program_that_the_shell_does_not_find_is_called_as_it_was(called: str, bin_directory: Path) -> None:
    assert shlex.split(program(called, ["python", called, "run"])) == [called]


def test_a_module_is_called_with_the_same_python() -> None:
    words = [".venv/bin/python", "-X", "dev", "-m", "workflows.cli", "run", "tiny"]
    assert program("/src/workflows/cli/__main__.py", words) == ".venv/bin/python -X dev -m workflows.cli"


def test_a_command_has_its_home_and_quotes_for_the_shell(tmp_path: Path) -> None:
    home = tmp_path / "my home"
    words = shlex.split(pasted(Settings(home=home), "generate", "smoke:base", 'It\'s "here"', "--raw"))
    assert words[-6:] == ["generate", "smoke:base", 'It\'s "here"', "--raw", "--home", str(home)]


def test_commands_inside_a_message_are_called_as_the_program_was_and_other_words_stay() -> None:
    text = "no runs; make one with: longrun run, or longrun run-like; longrun is a program; see longrun logs 1"
    expected = "no runs; make one with: bin/longrun run, or bin/longrun run-like; longrun is a program; see bin/longrun logs 1"
    assert as_called(text, ["run", "logs"], "bin/longrun") == expected


def test_an_error_names_a_command_that_can_be_pasted(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "workflows.cli", "lineage", "small", "--home", str(tmp_path / "home")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert f"make one with: {sys.executable} -m workflows.cli run;" in ended.stderr
