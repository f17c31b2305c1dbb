"""Checks that a recipe brings: tables with what is expected of them, judged and shown beside the built-in ones."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from components.checks.limits import OwnChecks
from components.checks.suite import Table
from components.errors import ExtensionError
from components.extensions import CHECK, Extension, failure, load


class ArtifactCheck(Protocol):
    """What a recipe's own class expects of an artifact."""

    def tables(self, artifact: Path) -> Sequence[Table]:
        """Tables of the artifact in that directory, each with its rules, which are critical unless they say otherwise."""
        ...


def own_tables(limits: OwnChecks, artifact: Path) -> list[Table]:
    """The tables of the recipe's own checks of an artifact, each named after its check.

    Raises:
        ConfigError: a check cannot be loaded.
        ExtensionError: it fails, or returns something else.
    """
    return [table for extension in limits.own_checks for table in _tables(extension, artifact)]


def _tables(extension: Extension, artifact: Path) -> list[Table]:
    check: ArtifactCheck = load(extension, CHECK)
    try:
        tables = list(check.tables(artifact))
    except Exception as error:
        raise failure(extension, CHECK, error, f"asked about {artifact}") from error
    for table in tables:
        if not isinstance(table, Table):
            raise ExtensionError(f"check {extension.code} returned {type(table).__name__}; it must be {CHECK.form}")
    return [replace(table, name=f"{extension.label} {table.name}") for table in tables]
