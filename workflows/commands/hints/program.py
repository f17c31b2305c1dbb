"""How this program was called, so that the commands that it prints can be pasted into the same shell."""

import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from infra.settings import Settings
from workflows.commands.runs import home_option

NAME = "longrun"

MODULE = ["-m", "workflows.cli"]


def program(name: str | None = None, words: Sequence[str] | None = None) -> str:
    """How to call longrun again: `longrun` if the shell finds it, else its path or its Python module as this process was called.

    `name` and `words` are `sys.argv[0]` and `sys.orig_argv` of the process; None: this one.
    """
    name, words = name or sys.argv[0], list(words or sys.orig_argv)
    if Path(name).name == NAME:
        return _as_command(NAME, Path(name), name)
    modules = [number for number in range(len(words) - 1) if words[number : number + 2] == MODULE]
    return shlex.join(words[: modules[0] + 2]) if modules else NAME


def tool(name: str) -> str:
    """How to call a program that is installed with longrun, such as `mlflow`."""
    own = Path(sys.executable).with_name(name)
    return _as_command(name, own, str(own)) if own.is_file() else name


def _as_command(name: str, path: Path, called: str) -> str:
    seen = shutil.which(name)
    return name if seen and Path(seen).absolute() == path.absolute() else shlex.quote(called)


def pasted(settings: Settings, *words: str) -> str:
    """A command of longrun in the same home, quoted for a shell."""
    return f"{program()} {shlex.join(words)}{home_option(settings)}"


def as_called(text: str, commands: Iterable[str], called: str) -> str:
    """A message with `called` in place of `longrun` where the name of a command follows."""
    names = "|".join(map(re.escape, sorted(commands, key=len, reverse=True)))
    return re.sub(rf"\b{NAME} (?=(?:{names})\b)", lambda _: f"{called} ", text)
