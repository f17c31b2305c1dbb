"""What all commands share: the home's settings, and results as text or JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from components.errors import ConfigError
from workflows.cli.main import app
from workflows.cli.options import LOCAL_ONLY, print_findings, print_result, require_here, settings_of
from workflows.commands.doctor import finding


def test_a_result_is_its_lines_or_with_json_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"name": "Müller"}, False, ["first", "second"])
    assert capsys.readouterr().out == "first\nsecond\n"
    print_result({"name": "Müller"}, True, ["first"])
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": "Müller"}
    assert "Müller" in printed


def test_the_home_is_that_of_the_option_else_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGRUN_HOME", str(tmp_path / "environment"))
    assert settings_of(None).home == tmp_path / "environment"
    assert settings_of(str(tmp_path / "option")).home == tmp_path / "option"
    assert settings_of(None, artifact_root="s3://bucket/prefix").artifact_root == "s3://bucket/prefix"


OF_NO_CLUSTER = {
    "compare-corpora": "trains on this machine",
    "curation-plan": "a recipe's sources as this machine sees them",
    "dedup-curve": "measures on this machine",
    "fit": "reads a table of this machine",
    "plan": "arithmetic",
    "profile change": "names a profile itself",
    "profile create": "names a profile itself",
    "profile list": "lists all profiles",
    "profile show": "names a profile itself",
    "recipes": "values of the code",
    "resume-proof": "kills workers of this machine",
    "show": "a recipe's values",
    "sweeps": "values of the code",
}
"""Commands that have nothing to do with a cluster, each with the reason."""


def commands() -> dict[str, Any]:
    """Every command of the command line, by its words."""

    def below(command: Any, words: str) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield words, command
            return
        for name, named in inner.items():
            yield from below(named, f"{words} {name}".strip())

    return dict(below(typer.main.get_command(app), ""))


def options_of(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_every_command_is_about_a_profile_s_cluster_too_or_has_a_reason() -> None:
    without = {name for name, command in commands().items() if "--profile" not in options_of(command)}
    assert without == set(OF_NO_CLUSTER)


def test_a_command_that_runs_something_says_whether_it_does_so_on_a_cluster(tmp_path: Path) -> None:
    """With one line why not."""
    running = {name for name, command in commands().items() if "--on" in options_of(command)}
    assert running == {"run", "sweep", *LOCAL_ONLY}
    words = {"compare-corpora": ["a", "b"], "fit": ["runs.csv", "--columns", "n=a"], "dedup-curve": [], "resume-proof": []}
    for name, reason in LOCAL_ONLY.items():
        result = CliRunner().invoke(app, [name, *words[name], "--on", "cluster", "--home", str(tmp_path)])
        assert isinstance(result.exception, ConfigError)
        assert str(result.exception) == f"--on cluster: {name} runs only on this machine: {reason}"
    with pytest.raises(ConfigError, match="--on moon: allowed: here"):
        require_here("fit", "moon")


def test_what_deletes_refuses_a_cluster_with_the_reason(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["gc", "--profile", "site", "--home", str(tmp_path)])
    assert "use the bucket's lifecycle rules" in str(result.exception)


def test_a_failed_finding_fails_the_command_after_all_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [finding("disk", False, "full", "free some space", bad="warning"), finding("home", True, "/home", "")]
    print_findings(findings, as_json=False)
    with pytest.raises(typer.Exit):
        print_findings([*findings, finding("python", False, "3.9", "make install")], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["warning", "disk", "full", "->", "free", "some", "space"]
    assert lines[-1].split() == ["failed", "python", "3.9", "->", "make", "install"]
