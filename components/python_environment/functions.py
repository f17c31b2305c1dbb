"""Finds the documented functions of a distribution, from which alignment makes instructions and preference pairs."""

import ast
import contextlib
import gc
import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.python_environment.distributions import Distribution, PackageFile

DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """A public function or method with its docstring."""

    name: str
    """Dotted name, such as `scipy.linalg._basic.solve`."""
    signature: str
    """Signature without decorators, body and trailing colon, such as `def solve(a, b, lower=False)`."""
    docstring: str
    """Docstring without indentation; not empty."""
    code: str
    """The whole definition without its docstring, as `ast.unparse` formats it."""
    distribution: str
    """Normalised name of the distribution that owns the file."""
    licence: str
    uri: str
    """`python-environment:DISTRIBUTION/PATH#LINE`."""


def functions(distribution: Distribution) -> Iterator[Function]:
    """The public functions and methods that have a docstring, in the order of files and lines.

    Skipped are test modules, functions whose name or class name starts with an underscore, nested functions, and files that are
    not UTF-8 or do not parse. Docstrings of any length are included; callers filter by length.
    """
    for file in distribution.modules:
        if not _is_test(file.path):
            with _without_collection():
                documented = list(_functions_in(file, distribution))
            yield from documented


def _functions_in(file: PackageFile, distribution: Distribution) -> Iterator[Function]:
    try:
        source = Path(file.location).read_text(encoding="utf-8")
        tree = _parse(source) if "def " in source else ast.Module(body=[], type_ignores=[])
    except (UnicodeDecodeError, SyntaxError):
        return
    for name, node in _definitions(tree.body, module_name(file.path)):
        if docstring := inspect.cleandoc(ast.get_docstring(node, clean=False) or ""):
            yield Function(
                name=name,
                signature=_signature(node),
                docstring=docstring,
                code=_code(node),
                distribution=distribution.name,
                licence=distribution.licence,
                uri=f"python-environment:{distribution.name}/{file.path}#{node.lineno}",
            )


def module_name(path: str) -> str:
    """The dotted name of the module at `path`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Disable garbage collection while a syntax tree exists: it has no garbage, and traversing it takes a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _parse(source: str) -> ast.Module:
    """The syntax tree of `source`; warnings of the parser are ignored.

    Raises:
        SyntaxError: the source does not parse, exceeds the parser's depth or contains a null character.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error)) from error


def _is_test(path: str) -> bool:
    *folders, name = path.split("/")
    return name.startswith("test_") or name == "conftest.py" or not {"test", "tests", "testing"}.isdisjoint(folders)


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, DEFINITION]]:
    for node in body:
        if isinstance(node, DEFINITION | ast.ClassDef) and not node.name.startswith("_"):
            name = f"{prefix}.{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node.body, name)
            else:
                yield name, node


def _signature(node: DEFINITION) -> str:
    keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{keyword} {node.name}({ast.unparse(node.args)}){returns}"


def _code(node: DEFINITION) -> str:
    node.body = node.body[1:] or [ast.Expr(ast.Constant(...))]
    return ast.unparse(node)
