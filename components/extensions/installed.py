"""Finds the installed packages that an extension imports: the cache key has their versions, since their code is not stored."""

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
"""Version of a package that an extension imports but that is not installed, as with an import inside `try`."""


def versions_of(extension: Extension) -> dict[str, str]:
    """Versions of the installed distributions that its modules import, by name. The standard library is not included.

    Raises:
        ConfigError: an imported module belongs to no installed distribution, so it has no version.
    """
    names = {name.partition(".")[0] for name in imported_from_outside(extension)} - set(OURS) - sys.stdlib_module_names
    return dict(sorted(pair for name in names for pair in _versions(extension, name).items()))


def imported_from_outside(extension: Extension) -> set[str]:
    """Dotted names that its modules import from outside the recipe's folder."""
    paths = {file.path for file in extension.files}
    modules = [file for file in extension.files if file.is_module]
    return {name for file in modules for name in outside_names(ast.parse(file.content), file.path, lambda path: path in paths)}


def _versions(extension: Extension, module: str) -> dict[str, str]:
    if known := _distributions().get(module):
        return {name: importlib.metadata.version(name) for name in known}
    if importlib.util.find_spec(module) is None:
        return {module: ABSENT}
    raise ConfigError(
        f"extension {extension.code} imports {module}, which is neither in the recipe's folder nor in an installed distribution: "
        "changes to it would not be noticed; put it into the recipe's folder, or install it as a package"
    )


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Names of the installed distributions by the top-level modules they contain."""
    return importlib.metadata.packages_distributions()
