"""Runs a recipe's own checks: their tables are checked and reported together with those of the built-in check."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from components.checks.limits import OwnChecks
from components.checks.suite import Table
from components.errors import ExtensionError
from components.extensions import CHECK, Extension, failure, load


class ArtifactCheck(Protocol):
    """The interface of a recipe's own check."""

    def tables(self, artifact: Path) -> Sequence[Table]:
        """Tables with rules about the artifact in directory `artifact`; a rule is critical unless made with `critical=False`."""
        ...


def own_tables(limits: OwnChecks, artifact: Path) -> list[Table]:
    """The tables of the recipe's own checks of an artifact; each name starts with the label of its check.

    Raises:
        ConfigError: a check cannot be loaded.
        ExtensionError: a check raises an exception, or returns something other than `Table`s.
    """
    return [table for extension in limits.own_checks for table in _tables(extension, artifact)]


def _tables(extension: Extension, artifact: Path) -> list[Table]:
    check: ArtifactCheck = load(extension, CHECK)
    try:
        tables = list(check.tables(artifact))
    except Exception as error:
        raise failure(extension, CHECK, error, f"while checking {artifact}") from error
    for table in tables:
        if not isinstance(table, Table):
            raise ExtensionError(f"check {extension.code} returned {type(table).__name__}; it must be {CHECK.form}")
    return [replace(table, name=f"{extension.label} {table.name}") for table in tables]
