"""Asks before a run starts what would otherwise end it later, and reports every problem at once."""

from collections.abc import Collection
from pathlib import Path

from components.errors import ConfigError, PreflightError, RecipeRefused
from infra.settings import Settings
from workflows.preflight.asking import problems_with, questions_of, questions_of_machine
from workflows.preflight.machine import Installed
from workflows.preflight.question import Problem
from workflows.recipe import Recipe
from workflows.sweeps.sweep import Sweep


def require_ready(config: Recipe | Sweep, settings: Settings, until: str = "") -> None:
    """Ask everything about a recipe or sweep, this machine and the services; the home must exist.

    Raises:
        LongrunError: the only problem, as the stage would raise it; `PreflightError` or `RecipeRefused` for several.
    """
    questions = [*questions_of_machine(config, settings), *questions_of(config, until)]
    refuse(problems_with(questions, settings.home))


def require_submittable(config: Recipe | Sweep, home: Path, elsewhere: Collection[str], until: str = "") -> None:
    """Ask everything about a recipe or sweep that does not depend on the machine that runs it, which asks the rest itself.

    `elsewhere`: the files that it names and that are not on this machine. Raises what `require_ready` raises.
    """
    questions = [question for question in questions_of(config, until, elsewhere) if not isinstance(question, Installed)]
    refuse(problems_with(questions, home))


def refuse(problems: Collection[Problem]) -> None:
    """Raise the problems as one error; nothing if there are none."""
    if not problems:
        return
    lines = list(dict.fromkeys(map(str, problems)))
    if len(lines) == 1:
        error = next(iter(problems)).error
        raise type(error)(lines[0]) from error
    kind = RecipeRefused if all(isinstance(problem.error, ConfigError) for problem in problems) else PreflightError
    raise kind("\n".join([f"{len(lines)} problems, found before the run:", *(f"  {line}" for line in lines)]))
