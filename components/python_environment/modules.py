"""Splits a Python file into its code without long docstrings, and these docstrings as prose."""

import ast
import inspect
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LONG_DOCSTRING = 200
"""Minimum characters of a docstring that is extracted as prose. A one-line summary stays in the code, since it is part of typical
code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Docstring:
    """The long docstring of a module, class or function."""

    line: int
    """Line on which it starts in the file, from 1."""
    text: str
    """The dotted name of what it documents, an empty line, and the docstring without its indentation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleText:
    """A Python file as code and prose."""

    code: str
    r"""The source without its long docstrings, with \n as line ends; it still parses."""
    docstrings: tuple[Docstring, ...]
    """The long docstrings in the order of the file."""


def split_module(source: str, module: str) -> ModuleText:
    """Extract the docstrings with at least `LONG_DOCSTRING` characters from `source`; `module` is its dotted name.

    Docstrings of definitions nested in functions and classes are extracted too; those of definitions inside other statements,
    such as `if`, are not.

    Raises:
        SyntaxError: strings, brackets or indentation are not balanced, as in a template.
    """
    # Imports numba, which other functions of this package do not need.
    from components.python_environment.statements import find_docstrings

    raw = source.replace("\r\n", "\n").replace("\r", "\n").encode()
    definitions, strings = find_docstrings(np.frombuffer(raw, dtype=np.uint8))
    pieces, docstrings, done, line = [], [], 0, 1
    for owner, start, end, alone in strings[strings[:, 2] - strings[:, 1] >= LONG_DOCSTRING].tolist():
        text = _value(raw[start:end].decode())
        if len(text) < LONG_DOCSTRING:
            continue
        name = ".".join((module, *_names(raw, definitions, owner)))
        first, after = raw.rfind(b"\n", 0, start) + 1, raw.find(b"\n", end) + 1 or len(raw)
        line += raw.count(b"\n", done, start)
        docstrings.append(Docstring(line=line, text=f"{name}\n\n{inspect.cleandoc(text)}\n"))
        pieces += [raw[done:first], raw[first:start] + b"...\n" if alone and owner >= 0 else b""]
        line += raw.count(b"\n", start, after)
        done = after
    return ModuleText(code=b"".join((*pieces, raw[done:])).decode(), docstrings=tuple(docstrings))


def _value(literal: str) -> str:
    """The value of a string literal; empty for bytes, an f-string, and anything else that is not a string literal."""
    quotes, text = literal[:3], literal[3:-3]
    if quotes in ('"""', "'''") and literal.endswith(quotes) and "\\" not in text and quotes not in text:
        return text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = ast.literal_eval(literal)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ""
    return value if isinstance(value, str) else ""


def _names(raw: bytes, definitions: npt.NDArray[np.int64], owner: int) -> list[str]:
    """The names of the enclosing definitions and of the definition itself, outermost first."""
    names: list[str] = []
    while owner >= 0:
        owner, start, end = definitions[owner].tolist()
        names.insert(0, raw[start:end].decode())
    return names
