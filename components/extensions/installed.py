"""The installed packages that an extension imports, by version: their code does not travel, and counts as its version."""

import ast
import functools
import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping

from components.errors import ConfigError
from components.extensions.imports import OURS, outside_names
from components.extensions.value import Extension

ABSENT = "absent"
"""Stands for the version of what is imported and not installed, as where an import may fail."""


def versions_of(extension: Extension) -> dict[str, str]:
    """The version of each distribution that its modules import something of, by name; the standard library is Python's.

    Raises:
        ConfigError: a module can be imported, but belongs to no installed distribution: it has no version to count.
    """
    names = {name.partition(".")[0] for name in imported_from_outside(extension)} - set(OURS) - sys.stdlib_module_names
    return dict(sorted(pair for name in names for pair in _versions(extension, name).items()))


def imported_from_outside(extension: Extension) -> set[str]:
    """Dotted names of the absolute imports of its modules that are not beside the recipe."""
    paths = {file.path for file in extension.files}
    modules = [file for file in extension.files if file.is_module]
    return {name for file in modules for name in outside_names(ast.parse(file.content), file.path, lambda path: path in paths)}


def _versions(extension: Extension, module: str) -> dict[str, str]:
    if known := _distributions().get(module):
        return {name: importlib.metadata.version(name) for name in known}
    if importlib.util.find_spec(module) is None:
        return {module: ABSENT}
    raise ConfigError(
        f"extension {extension.code} imports {module}, which is neither beside the recipe nor in an installed distribution: "
        "a change of it would not be noticed; put it into the recipe's folder, or install it"
    )


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions that each top-level module comes from."""
    return importlib.metadata.packages_distributions()
