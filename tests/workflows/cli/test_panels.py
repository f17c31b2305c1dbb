"""Help: every command is in a panel and has examples that parse, every line stands alone, and types are plain words."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from components.errors import ConfigError
from workflows.cli.main import app
from workflows.cli.panels import TYPES, Panel, examples_of

TITLES = ["Run", "Look at runs", "Models", "Data", "Scaling laws", "Cluster"]

ROOT_COMMAND: Any = typer.main.get_command(app)


def commands(command: Any = ROOT_COMMAND, name: str = "longrun") -> dict[str, Any]:
    """Every command that does something, by the words that call it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return {name: command}
    return {words: below for word, c in inner.items() for words, below in commands(c, f"{name} {word}").items()}


COMMANDS = commands()


def parse(example: str) -> Any:
    """The context of a command line, as it is before the command runs. Raises the usage error of one that does not parse."""
    words = shlex.split(example)
    command, context = ROOT_COMMAND, ROOT_COMMAND.make_context(words[0], words[1:2], resilient_parsing=True)
    words = words[1:]
    while getattr(command, "commands", None):
        command = command.commands[words.pop(0)]
        if getattr(command, "commands", None):
            context = command.make_context(command.name, words[:1], parent=context, resilient_parsing=True)
    return command.make_context(command.name, words, parent=context)


def helps(command: Any) -> Iterator[tuple[str, str]]:
    """The name and the help of each parameter."""
    context = typer.Context(command)
    for parameter in command.get_params(context):
        if not parameter.hidden:
            yield parameter.name, parameter.help or ""


def faults(text: str) -> list[str]:
    """Why a line of help does not stand alone."""
    rules = {
        "does not end with a period": not text.endswith("."),
        "does not start with a capital letter": not text[:1].isupper(),
        "has fewer than three words": len(text.split()) < 3,
        "starts with a fragment": bool(re.match(r"(Of|The same|Another|And|Also|Its|Which|Where it|With what)\b(?! to)", text)),
    }
    return [fault for fault, broken in rules.items() if broken]


def test_every_command_is_in_one_of_the_panels() -> None:
    panels = {name: command.rich_help_panel for name, command in ROOT_COMMAND.commands.items()}
    assert list(dict.fromkeys(panels.values())) == TITLES


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_examples_of_its_own_that_parse(name: str) -> None:
    examples = examples_of(COMMANDS[name].epilog)
    assert examples
    for example in examples:
        assert example.startswith(name)
        assert parse(example).command is COMMANDS[name]


@pytest.mark.parametrize("name", ["longrun", *COMMANDS])
def test_every_line_of_a_command_s_help_stands_alone(name: str) -> None:
    command = COMMANDS.get(name, ROOT_COMMAND)
    first = (command.help or "").split("\n\n")[0].replace("\n", " ")
    assert {parameter: faults(text) for parameter, text in [("", first), *helps(command)] if faults(text)} == {}


@pytest.mark.parametrize(
    "text", ["", "Of the bootstrap.", "Another.", "Which accelerator.", "prints JSON and exits.", "Print JSON and exit"]
)
def test_a_line_that_does_not_stand_alone_is_refused(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_shows_plain_types_and_its_examples(name: str) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*name.split()[1:], "--help"])
    assert result.exit_code == 0
    assert not re.search(r"<\w", result.output)
    assert all(example in result.output for example in examples_of(COMMANDS[name].epilog))


CHEAP = [
    "recipes",
    "show",
    "doctor",
    "gc",
    "runs",
    "models",
    "curation-plan",
    "plan",
    "sweeps",
    "fit",
    "profile list",
]
"""Commands whose examples run in an empty home within seconds."""


@pytest.mark.parametrize("name", CHEAP)
def test_the_first_example_of_a_cheap_command_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LONGRUN_HOME", str(tmp_path / "home"))
    rows = [f"{n:.0f},{d:.0f},{1.7 + 400 / n**0.34 + 410 / d**0.28}" for n in (1e7, 1e8, 1e9) for d in (1e8, 1e9, 1e10)]
    Path("runs.csv").write_text("\n".join(["parameters,tokens,loss", *rows]) + "\n")
    example = examples_of(COMMANDS[f"longrun {name}"].epilog)[0]
    result = CliRunner().invoke(app, shlex.split(example)[1:])
    assert result.exception is None or name == "doctor"
    assert result.output


def test_a_flag_shows_no_type_and_an_option_its_own_word_or_a_plain_one() -> None:
    panel = Panel("Things")

    @panel.command("count --number 3")
    def count(
        thing: Annotated[str, typer.Argument(metavar="THING")],
        number: int = 0,
        size: Annotated[float, typer.Option(metavar="GIB")] = 0.0,
        names: Annotated[list[str] | None, typer.Option()] = None,
        loud: Annotated[bool, typer.Option("--loud")] = False,
    ) -> None:
        """Count the things."""

    output = CliRunner(env={"COLUMNS": "100"}).invoke(panel.commands, ["--help"]).output
    rows = [line.strip("│* ").split() for line in output.splitlines()]
    shown = {words[0]: words[1:] for words in rows if words}
    assert shown["THING"] == ["[required]"]
    assert shown["--number"][0] == TYPES["<int>"]
    assert shown["--size"][0] == "GIB"
    assert shown["--names"] == [TYPES["<list[str]>"]]
    assert shown["--loud"] == []
    assert examples_of("Example:\n  count --number 3") == ["count --number 3"]


def test_a_wrong_example_does_not_parse() -> None:
    with pytest.raises(Exception, match="No such option: --nothing"):
        parse("longrun runs --nothing")


def test_the_options_of_gc_that_are_refused_are_not_shown(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["gc", "--help"])
    assert "--profile" not in result.output
    refused = CliRunner().invoke(app, ["gc", "--profile", "site", "--home", str(tmp_path)])
    assert isinstance(refused.exception, ConfigError)
