"""Finds what a module imports (modules of the recipe's folder, installed packages) and the files whose names it has as strings.

Imports are resolved as for a script: first in the module's folder, then in the recipe's folder, then among installed packages.
`components`, `infra` and `workflows` always mean longrun's own packages.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from components.errors import ConfigError
from components.extensions.value import is_inside

OURS = ("components", "infra", "workflows")
"""longrun's own packages: a file of the same name in a recipe's folder does not replace them."""

MAX_NAME = 255
"""Maximum characters of a string that is considered as a file name."""

Exists = Callable[[str], bool]
"""Tells whether a file exists; takes its path relative to the recipe's folder."""


def folder_of(path: str) -> str:
    """The folder of a file, relative to the recipe's folder, with slashes; empty for the recipe's folder itself."""
    parent = PurePosixPath(path).parent.as_posix()
    return "" if parent == "." else parent


def joined(*names: str) -> str:
    """Join names with slashes, skipping empty ones."""
    return "/".join(name for name in names if name)


def module_files(module: str, base: str, exists: Exists) -> list[str]:
    """The files that are executed when the module with that dotted name is imported from the folder `base`; may be empty."""
    files, stem = [], base
    for name in module.split("."):
        stem = joined(stem, name)
        files += [path for path in (f"{stem}/__init__.py", f"{stem}.py") if exists(path)][:1]
    return files


def base_of(modules: Sequence[str], folder: str, exists: Exists) -> str | None:
    """The folder in which an absolute import finds one of these modules: `folder` or the recipe's (""); None if in neither."""
    if modules[0].partition(".")[0] in OURS:
        return None
    bases = dict.fromkeys((folder, ""))
    return next((base for base in bases if any(module_files(module, base, exists) for module in modules)), None)


def names_of(node: ast.Import | ast.ImportFrom) -> list[list[str]]:
    """For each absolute import of a statement, the modules it may import: in `from a import b`, that is `a` and `a.b`."""
    if isinstance(node, ast.Import):
        return [[alias.name] for alias in node.names]
    if node.level:
        return []
    return [[str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]]


def imported_files(tree: ast.AST, path: str, exists: Exists) -> Iterator[str]:
    """The files of the recipe's folder that a module imports, with the `__init__.py` of the packages around them.

    Raises:
        ConfigError: a relative import leaves the recipe's folder, or a module of that folder is imported by a string.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = _parent(path, node.level, node.lineno)
            modules = [node.module] if node.module else []
            modules += [joined(node.module or "", alias.name).replace("/", ".") for alias in node.names]
            for module in modules:
                yield from _with_packages(module_files(module, base, exists), exists)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for names in names_of(node):
                base_folder = base_of(names, folder_of(path), exists)
                for module in names if base_folder is not None else ():
                    yield from _with_packages(module_files(module, str(base_folder), exists), exists)
        elif isinstance(node, ast.Call):
            _require_statement(node, path, exists)


def outside_names(tree: ast.AST, path: str, exists: Exists) -> Iterator[str]:
    """Dotted names of absolute imports from outside the recipe's folder: standard library, installed packages, longrun."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for names in names_of(node):
                if base_of(names, folder_of(path), exists) is None:
                    yield from names


def strings_of(tree: ast.AST) -> Iterator[str]:
    """The strings of a module that could be file names. Strings that are statements (docstrings) are skipped."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def named_files(strings: Iterator[str], folder: str, exists: Exists) -> Iterator[str]:
    """The files with these names, relative to a module's folder or else to the recipe's folder."""
    for text in strings:
        if len(text) <= MAX_NAME and "\n" not in text and is_inside(text):
            name = PurePosixPath(text).as_posix()
            yield from [path for path in (joined(folder, name), name) if exists(path)][:1]


def _with_packages(files: list[str], exists: Exists) -> Iterator[str]:
    for file in files:
        yield from packages_of(file, exists)
        yield file


def packages_of(path: str, exists: Exists) -> Iterator[str]:
    """The `__init__.py` files of the folders around a module; the recipe's folder itself is not a package."""
    for parent in PurePosixPath(path).parents:
        if parent.name and exists(f"{parent}/__init__.py"):
            yield f"{parent}/__init__.py"


def _parent(path: str, level: int, line: int) -> str:
    """The folder that a relative import with `level` dots starts from."""
    folders = folder_of(path).split("/") if folder_of(path) else []
    if level - 1 > len(folders):
        raise ConfigError(
            f"{path}:{line}: this import leaves the recipe's folder; move the module into that folder, because an extension's "
            "modules are stored with the recipe"
        )
    return "/".join(folders[: len(folders) - (level - 1)])


def _require_statement(call: ast.Call, path: str, exists: Exists) -> None:
    """Refuse to import a module of the recipe's folder by a string: it would not be stored, nor be part of the cache key."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if function not in ("import_module", "__import__") or not call.args:
        return
    name = call.args[0]
    if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.strip("."):
        module = name.value.strip(".")
        if base_of([module], folder_of(path), exists) is not None:
            raise ConfigError(
                f"{path}:{call.lineno}: {module} is imported by a string, so its code would not be stored with the recipe; "
                f"write: import {module}"
            )
