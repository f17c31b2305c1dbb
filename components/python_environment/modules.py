"""One Python file taken apart: its code without the long docstrings, and those docstrings as prose."""

import ast
import contextlib
import gc
import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

LONG_DOCSTRING = 200
"""Characters from which a docstring is prose of its own. A one-line summary stays where it is: it is part of how code looks."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, slots=True)
class Docstring:
    """What an author wrote about one module, class or function."""

    line: int
    """Line of the file, from 1, in which it begins."""
    text: str
    """The dotted name, an empty line, and the docstring without its indentation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleText:
    """What one Python file says, apart."""

    code: str
    """The source without its long docstrings; it still parses."""
    docstrings: tuple[Docstring, ...]
    """The long docstrings in the order of the file."""


def split_module(source: str, module: str) -> ModuleText:
    """Cut the docstrings of at least `LONG_DOCSTRING` characters out of `source`; `module` is its dotted name.

    Raises:
        SyntaxError: this Python cannot parse it (such as a template, or a file for another version).
    """
    if '"""' not in source and "'''" not in source:
        return ModuleText(code=source, docstrings=())
    with without_collection():
        return _split(source, module)


def _split(source: str, module: str) -> ModuleText:
    found = [(name, node, text) for name, node, text in docstrings(parse(source), module) if len(text) >= LONG_DOCSTRING]
    texts = (Docstring(line=node.body[0].lineno, text=f"{name}\n\n{inspect.cleandoc(text)}\n") for name, node, text in found)
    return ModuleText(code=_without(source, [node for _, node, _ in found]), docstrings=tuple(texts))


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Keep the garbage collector still while a tree lives: it has no garbage, and walking it costs a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def parse(source: str) -> ast.Module:
    """The syntax tree of `source`, without the warnings of its compilation.

    Raises:
        SyntaxError: also where the parser runs out of depth or meets a null character.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error)) from error


def docstrings(node: Documented, name: str) -> Iterator[tuple[str, Documented, str]]:
    """Dotted name, node and raw docstring of `node` and of the classes and functions in it, in the order of the file."""
    text = ast.get_docstring(node, clean=False)
    if text is not None:
        yield name, node, text
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from docstrings(child, f"{name}.{child.name}")


def _without(source: str, nodes: list[Documented]) -> str:
    # `ast` counts lines by \n alone, as `split` does; `splitlines` would also split at form feeds.
    lines = source.split("\n")
    for node in reversed(nodes):
        statement = node.body[0]
        first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
        before = lines[first].encode()[: statement.col_offset].decode()
        after = lines[last].encode()[statement.end_col_offset :].decode().strip()
        if before.strip() or (after and not after.startswith("#")):
            continue
        alone = len(node.body) == 1 and not isinstance(node, ast.Module)
        lines[first : last + 1] = [f"{before}..."] if alone else []
    return "\n".join(lines)
