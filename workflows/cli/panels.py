"""Panels: the groups of commands in `longrun --help`, and how the help of a command shows types and examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

Function = TypeVar("Function", bound=Callable[..., Any])

TYPES = {
    "<bool>": None,
    "<str>": "TEXT",
    "<int>": "NUMBER",
    "<int range>": "NUMBER",
    "<float>": "NUMBER",
    "<float range>": "NUMBER",
    "<path>": "PATH",
    "<list[str]>": "TEXT",
    "<list[path]>": "PATH",
}
"""Typer's names of types, and what the help shows in their place; None: nothing, for a flag takes no value."""


class _Argument(TyperArgument):
    """An argument that is shown by its name alone: its help says what it takes."""

    def display_type_rich(self, ctx: Any) -> str | None:
        return None


class _Option(TyperOption):
    """An option that is shown with its `metavar`, or else with the plain name of its type."""

    def display_type_rich(self, ctx: Any) -> str | None:
        return self.metavar or TYPES[self.display_type(ctx)]


def _shown_plainly(parameters: Sequence[Any]) -> list[Any]:
    # Typer makes its parameters itself and lets nobody choose their class; the two below only differ in what they show.
    for parameter in parameters:
        parameter.__class__ = _Argument if isinstance(parameter, TyperArgument) else _Option
    return list(parameters)


class PlainCommand(TyperCommand):
    """A command whose help shows plain types."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's parameters, and `--help`."""
        return _shown_plainly(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """A command with commands of its own, whose help shows plain types."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The group's parameters, and `--help`."""
        return _shown_plainly(super().get_params(ctx))


@dataclass(frozen=True, slots=True)
class Panel:
    """Commands that `longrun --help` shows together."""

    title: str
    commands: typer.Typer = field(default_factory=lambda: typer.Typer(cls=PlainGroup))

    def command(self, *examples: str, name: str | None = None) -> Callable[[Function], Function]:
        """Register a function as a command; its help ends with the `examples`, each a whole command line."""
        return self.commands.command(name, cls=PlainCommand, epilog=epilog(examples), rich_help_panel=self.title)


def epilog(examples: Sequence[str]) -> str:
    """The end of a command's help: its examples, a line each."""
    return "\n".join([f"Example{'s'[: len(examples) > 1]}:", *(f"  {example}" for example in examples)])


def examples_of(epilog: str | None) -> list[str]:
    """The command lines at the end of a command's help."""
    return [line.strip() for line in (epilog or "").splitlines()[1:]]
