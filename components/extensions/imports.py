"""What a module imports: modules beside it, installed packages by name, and files that its strings name.

Imports are resolved as for a script: the module's own folder first, then the folder of the recipe, then the rest of Python. Only
`components`, `infra` and `workflows` are always ours.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

from components.errors import ConfigError
from components.extensions.value import is_inside

OURS = ("components", "infra", "workflows")
"""Packages that no file beside a recipe replaces."""

MAX_NAME = 255
"""Characters of a string that may name a file."""

Exists = Callable[[str], bool]
"""Whether there is a file of that path below the folder of the recipe."""


def folder_of(path: str) -> str:
    """The folder of a file, with slashes; empty for the folder of the recipe."""
    parent = PurePosixPath(path).parent.as_posix()
    return "" if parent == "." else parent


def joined(*names: str) -> str:
    """The names of a path, of which any may be empty, with slashes."""
    return "/".join(name for name in names if name)


def module_files(module: str, base: str, exists: Exists) -> list[str]:
    """The files that importing a dotted name below `base` runs; none where nothing of it is there."""
    files, stem = [], base
    for name in module.split("."):
        stem = joined(stem, name)
        files += [path for path in (f"{stem}/__init__.py", f"{stem}.py") if exists(path)][:1]
    return files


def base_of(modules: Sequence[str], folder: str, exists: Exists) -> str | None:
    """Below which folder an absolute import finds one of these dotted names; None: not beside the recipe."""
    if modules[0].partition(".")[0] in OURS:
        return None
    bases = dict.fromkeys((folder, ""))
    return next((base for base in bases if any(module_files(module, base, exists) for module in modules)), None)


def names_of(node: ast.Import | ast.ImportFrom) -> list[list[str]]:
    """The dotted names of each of its absolute imports: `from package import module` may name a module too."""
    if isinstance(node, ast.Import):
        return [[alias.name] for alias in node.names]
    if node.level:
        return []
    return [[str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]]


def imported_files(tree: ast.AST, path: str, exists: Exists) -> Iterator[str]:
    """The files beside the recipe that a module imports, with the packages around them.

    Raises:
        ConfigError: a relative import leaves the folder of the recipe, or a module beside it is imported by a string.
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
    """Dotted names of absolute imports that are not beside the recipe: of the standard library, of installed packages, ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for names in names_of(node):
                if base_of(names, folder_of(path), exists) is None:
                    yield from names


def strings_of(tree: ast.AST) -> Iterator[str]:
    """The strings of a module that could name a file; those that stand alone are docstrings, and name none."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.value


def named_files(strings: Iterator[str], folder: str, exists: Exists) -> Iterator[str]:
    """The files in a module's folder, or in that of the recipe, that strings name."""
    for text in strings:
        if len(text) <= MAX_NAME and "\n" not in text and is_inside(text):
            name = PurePosixPath(text).as_posix()
            yield from [path for path in (joined(folder, name), name) if exists(path)][:1]


def _with_packages(files: list[str], exists: Exists) -> Iterator[str]:
    for file in files:
        yield from packages_of(file, exists)
        yield file


def packages_of(path: str, exists: Exists) -> Iterator[str]:
    """The `__init__.py` of the folders around a module; the folder of the recipe is no package."""
    for parent in PurePosixPath(path).parents:
        if parent.name and exists(f"{parent}/__init__.py"):
            yield f"{parent}/__init__.py"


def _parent(path: str, level: int, line: int) -> str:
    """The folder that a relative import of that many dots starts from."""
    folders = folder_of(path).split("/") if folder_of(path) else []
    if level - 1 > len(folders):
        raise ConfigError(
            f"{path}:{line}: this import leaves the folder of the recipe; what an extension imports must lie in it, so that it "
            "counts and travels"
        )
    return "/".join(folders[: len(folders) - (level - 1)])


def _require_statement(call: ast.Call, path: str, exists: Exists) -> None:
    """An import by a string of a module beside the recipe would be neither counted nor carried."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if function not in ("import_module", "__import__") or not call.args:
        return
    name = call.args[0]
    if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.strip("."):
        module = name.value.strip(".")
        if base_of([module], folder_of(path), exists) is not None:
            raise ConfigError(
                f"{path}:{call.lineno}: {module} is imported by a string, and would not count; write: import {module}"
            )
