"""What to do after a run, whatever it made."""

import shlex
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from infra.settings import Settings
from tests.workflows.commands.hints.conftest import MakeRun
from workflows.cli.main import app
from workflows.commands.hints import next_commands

ALL = ("curation", "pretraining", "conversations", "sft", "dpo")


def words_of(lines: list[str]) -> list[list[str]]:
    """The words after `longrun` of each command."""
    return [shlex.split(line)[1:] for line in lines if line.startswith("  longrun ")]


def test_a_run_until_pretraining_has_a_model_to_try(settings: Settings, make_run: MakeRun) -> None:
    journal = make_run("curation", "pretraining")
    commands = words_of(next_commands(journal, settings))
    home, run = ["--home", str(settings.home)], journal.name
    assert commands == [
        ["report", run, *home],
        ["generate", f"{run}:base", "Be it enacted.", "--raw", "--temperature", "0.7", *home],
        ["inspect", run, *home],
        ["lineage", run, *home],
        ["logs", run, *home],
    ]


def test_a_run_that_registered_a_model_tries_it_and_its_base(settings: Settings, make_run: MakeRun) -> None:
    journal = make_run(*ALL, messages=("What is a tort?",))
    journal.write("registered", model="law/1", new=True)
    commands = [words[:3] for words in words_of(next_commands(journal, settings))]
    assert commands[1:3] == [["generate", "law/1:base", "Be it enacted."], ["generate", "law/1", "What is a tort?"]]
    assert ["verify", "law/1"] in [words[:2] for words in commands]


def test_a_run_without_registration_asks_its_last_model(settings: Settings, make_run: MakeRun) -> None:
    journal = make_run(*ALL[:-1], messages=("What is a tort?",))
    commands = [words[:3] for words in words_of(next_commands(journal, settings))]
    assert commands[2] == ["generate", f"{journal.name}:sft", "What is a tort?"]


def test_a_run_that_made_nothing_has_its_report_and_logs(settings: Settings, make_run: MakeRun) -> None:
    assert [words[0] for words in words_of(next_commands(make_run(), settings))] == ["report", "logs"]


def test_every_command_is_one_that_longrun_has(settings: Settings, make_run: MakeRun) -> None:
    journal = make_run(*ALL, messages=("What is a tort?",))
    journal.write("registered", model="law/1", new=True)
    for words in words_of(next_commands(journal, settings)):
        assert words[0] in typer.main.get_command(app).commands  # type: ignore[attr-defined]
    ended = CliRunner().invoke(app, words_of(next_commands(journal, settings))[-1])
    assert ended.exit_code == 0


@pytest.mark.parametrize(
    ("uri", "last"), [("home", "ui --backend-store-uri 'sqlite:///"), ("http://mlflow:5000", "http://mlflow:5000")]
)
def test_the_last_line_leads_to_mlflow(uri: str, last: str, settings: Settings, make_run: MakeRun) -> None:
    chosen = replace(settings, home=settings.home.with_name("my home"), mlflow_uri=uri)
    assert last in next_commands(make_run(), chosen)[-1]
