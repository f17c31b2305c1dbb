"""Imports the code of an extension from its stored files, under the same module name in every process.

The files are unpacked into a directory of this process. Their package is named after the digest of all files, so that files
with the same name do not clash. Imports of modules in the recipe's folder are rewritten to import from this package; `sys.path`
is not changed.
"""

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import sys
import tempfile
import threading
import traceback
import types
import typing
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from components.errors import ConfigError, ExtensionError, single_line, unknown
from components.extensions.imports import base_of, folder_of, joined
from components.extensions.kinds import ExtensionKind
from components.extensions.value import Extension

PREFIX = "longrun_extension_"
"""Prefix of the package names; the first sixteen digits of the digest follow."""

_DIGITS = 16


def package_of(extension: Extension) -> str:
    """Name of the package that contains the modules of an extension."""
    return f"{PREFIX}{extension.digest[:_DIGITS]}"


def unpack_below(directory: Path) -> None:
    """Set the directory below which extensions are unpacked; the default is the system's directory for temporary files.

    Used by workers that may be killed before they clean up: the caller must see to it that another process deletes `directory`.
    """
    _finder.base = directory


def load(extension: Extension, kind: ExtensionKind) -> Any:
    """An instance of the extension's class, made with its values.

    Raises:
        ConfigError: the extension has no files (see `gathered`) or cannot be imported; the class does not exist, lacks the method
            of its kind, or does not accept the values.
    """
    where = f"{kind.word} {extension.code}"
    if not extension.files:
        raise ConfigError(f"{where}: its code was not read; pass the recipe as a file, or call extensions.gathered")
    module = _module(extension, where)
    made = vars(module).get(extension.class_name)
    if not isinstance(made, type):
        classes = [
            name for name, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__
        ]
        raise ConfigError(
            f"{where}: {unknown('class', extension.class_name, sorted(classes) or ['none'])}; it must be {kind.form}"
        )
    at = f"{where}, line {_line_of(made)}"
    if not callable(getattr(made, kind.method, None)):
        raise ConfigError(f"{at}: {made.__name__} has no method {kind.method}; it must be {kind.form}")
    return _made(extension, kind, made, at)


def failure(extension: Extension, kind: ExtensionKind, error: BaseException, what: str) -> ExtensionError:
    """An `ExtensionError` for an exception in an extension's code, with the line that raised it; `what` ends the message."""
    reason = single_line(error, 500)
    message = f"{kind.word} {extension.code}{_raised_at(extension, error)}: {type(error).__name__}: {reason}; {what}"
    return ExtensionError(message)


def _module(extension: Extension, where: str) -> types.ModuleType:
    _finder.add(extension)
    name = ".".join((package_of(extension), *PurePosixPath(extension.file.removesuffix(".py")).parts))
    try:
        return importlib.import_module(name)
    except Exception as error:
        line = _raised_at(extension, error)
        raise ConfigError(
            f"{where}{line}: import failed: {type(error).__name__}: {_plainly(error, package_of(extension))}"
        ) from error


def _made(extension: Extension, kind: ExtensionKind, made: type, at: str) -> Any:
    """An instance of the class; raises `ConfigError` if the class or its method does not accept its arguments."""
    try:
        inspect.signature(made).bind(**extension.values)
    except TypeError as error:
        raise ConfigError(f"{at}: {made.__name__}{_parameters(made)} does not accept {extension.values}: {error}") from error
    _require_types(extension, made, at)
    try:
        instance = made(**extension.values)
    except Exception as error:
        line = _raised_at(extension, error)
        raise ConfigError(
            f"{at}: {made.__name__} does not accept {extension.values}{line}: {type(error).__name__}: {single_line(error)}"
        ) from error
    method = getattr(instance, kind.method)
    try:
        inspect.signature(method).bind(*kind.parameters)
    except TypeError as error:
        raise ConfigError(
            f"{kind.word} {extension.code}, line {_line_of(method)}: {kind.method}{_parameters(method)} has wrong parameters; "
            f"it must be {kind.form}"
        ) from error
    return instance


def _require_types(extension: Extension, made: type, at: str) -> None:
    """Raise `ConfigError` if a value does not match the annotation of its parameter. Only plain types are checked."""
    try:
        hints = typing.get_type_hints(vars(made).get("__init__", made))
    except Exception:  # noqa: BLE001 - annotations with names that do not exist at run time
        return
    for name, value in extension.values.items():
        wanted = hints.get(name)
        if wanted in (int, float, str, bool, list, dict) and not _fits(value, wanted):
            raise ConfigError(f"{at}: {made.__name__}.{name} is {value!r}; allowed: {wanted.__name__}")


def _fits(value: object, wanted: type) -> bool:
    if isinstance(value, bool):
        return wanted is bool
    return isinstance(value, (int, float) if wanted is float else wanted)


def _parameters(function: Any) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(…)"


def _line_of(made: Any) -> int:
    """The line of a class or method in its file; 1 if it is unknown."""
    try:
        return inspect.findsource(made)[1] + 1
    except (OSError, TypeError):
        return 1


def _raised_at(extension: Extension, error: BaseException) -> str:
    """ ", FILE:LINE" of the last line of the extension's own code in the traceback; empty if there is none."""
    root = _finder.directory(package_of(extension))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if root and Path(frame.filename).is_relative_to(root)]
    if isinstance(error, SyntaxError) and error.filename and root and Path(error.filename).is_relative_to(root):
        return f", {Path(error.filename).relative_to(root)}:{error.lineno}"
    return f", {Path(frames[-1].filename).relative_to(root)}:{frames[-1].lineno}" if frames and root else ""


def _plainly(error: BaseException, package: str) -> str:
    """The message of an error, with module names as the recipe's author wrote them."""
    return single_line(error).replace(f"{package}.", "")


class _Finder(importlib.abc.MetaPathFinder):
    """Import hook that finds the modules of unpacked extensions."""

    def __init__(self) -> None:
        self.base: Path | None = None
        self._directories: dict[str, tempfile.TemporaryDirectory[str]] = {}
        """Directories by package name; deleted when the process exits."""
        self._lock = threading.Lock()

    def add(self, extension: Extension) -> None:
        """Unpack an extension, unless this process has done so before."""
        package = package_of(extension)
        with self._lock:
            if package in self._directories:
                return
            if self.base is not None:
                self.base.mkdir(parents=True, exist_ok=True)
            directory = tempfile.TemporaryDirectory(prefix=f"{package}-", dir=self.base)
            for file in extension.files:
                path = Path(directory.name, file.path)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.content)
            self._directories[package] = directory

    def directory(self, package: str) -> Path | None:
        """The directory into which a package was unpacked; None if it was not."""
        directory = self._directories.get(package)
        return Path(directory.name) if directory else None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module or package of an extension; folders without `__init__.py` are packages too."""
        package, *names = fullname.split(".")
        root = self.directory(package)
        if root is None:
            return None
        inner = root.joinpath(*names)
        for file in (inner / "__init__.py", inner.with_suffix(".py")) if names else ():
            if file.is_file():
                loader = _Loader(fullname, str(file), root=root, package=package)
                locations = [str(inner)] if file.name == "__init__.py" else None
                return importlib.util.spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=locations)
        if not inner.is_dir():
            return None
        spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = [str(inner)]
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles a module with rewritten imports, and writes no bytecode files."""

    def __init__(self, name: str, path: str, *, root: Path, package: str) -> None:
        super().__init__(name, path)
        self._root, self._package = root, package

    def path_stats(self, path: Any) -> Any:
        """Raise `OSError`, so that the base class neither reads nor writes bytecode."""
        raise OSError(path)

    def source_to_code(self, data: Any, path: Any, *, _optimization: int = -1) -> types.CodeType:  # type: ignore[override]
        """Compile a module's source after rewriting its imports; line numbers stay the same."""
        own = Path(path).relative_to(self._root).as_posix()
        tree = _Inward(own, self._root, self._package).visit(ast.parse(data, filename=str(path)))
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimization)


class _Inward(ast.NodeTransformer):
    """Rewrites absolute imports of modules in the recipe's folder to import from the extension's package."""

    def __init__(self, path: str, root: Path, package: str) -> None:
        self._folder, self._root, self._package = folder_of(path), root, package

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        """Rewrite `import a.b`, which binds `a`, to import `a` under that name as well."""
        statements: list[ast.stmt] = []
        for alias in node.names:
            base = self._base([alias.name])
            names = (
                [alias] if base is None else [ast.alias(self._name(base, alias.name), alias.asname or alias.name.split(".")[0])]
            )
            if base is not None and not alias.asname and "." in alias.name:
                top = alias.name.partition(".")[0]
                names.append(ast.alias(self._name(base, top), top))
            statements.append(ast.copy_location(ast.Import(names), node))
        return [ast.fix_missing_locations(statement) for statement in statements]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        """Rewrite an absolute `from … import`; relative imports need no change."""
        if not node.level:
            base = self._base([str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)])
            if base is not None:
                node.module = self._name(base, str(node.module))
        return node

    def _base(self, modules: list[str]) -> str | None:
        return base_of(modules, self._folder, lambda path: (self._root / path).is_file())

    def _name(self, base: str, module: str) -> str:
        return joined(self._package, base, module).replace("/", ".")


_finder = _Finder()
sys.meta_path.insert(0, _finder)  # before the path finder, which would import the files without rewriting their imports
