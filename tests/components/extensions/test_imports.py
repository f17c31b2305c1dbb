"""Imports are resolved as for a script, and what they name beside the recipe is known without running anything."""

import ast
from collections.abc import Callable

import pytest

from components.errors import ConfigError
from components.extensions.imports import imported_files, named_files, outside_names, strings_of


def among(*files: str) -> Callable[[str], bool]:
    return set(files).__contains__


@pytest.mark.parametrize(
    ("path", "text", "files", "imported"),
    [
        ("a.py", "import b", ("b.py",), ["b.py"]),
        ("a.py", "import b.c.d", ("b/__init__.py", "b/c/d.py"), ["b/__init__.py", "b/c/d.py"]),
        ("a.py", "from b import c, d", ("b/c.py", "b/d.py"), ["b/c.py", "b/d.py"]),
        ("a.py", "from b import value", ("b.py",), ["b.py"]),
        ("a.py", "from . import b", ("b.py",), ["b.py"]),
        ("a.py", "from .b import *", ("b.py",), ["b.py"]),
        ("x/a.py", "import b", ("x/b.py", "b.py"), ["x/b.py"]),
        ("x/a.py", "import b", ("b.py",), ["b.py"]),
        ("x/y/a.py", "from .. import b", ("x/b.py", "b.py"), ["x/b.py"]),
        ("x/y/a.py", "from ..z.b import c", ("x/z/b.py", "x/__init__.py"), ["x/__init__.py", "x/z/b.py"]),
        ("a.py", "def late():\n    import b", ("b.py",), ["b.py"]),
        ("a.py", "import json, numpy", (), []),
        ("a.py", "import numpy", ("numpy/notes.txt",), []),
        ("a.py", "import components.errors", ("components/errors.py",), []),
    ],
)
def test_modules_beside_the_recipe_are_the_files_that_an_import_runs(
    path: str, text: str, files: tuple[str, ...], imported: list[str]
) -> None:
    assert sorted(set(imported_files(ast.parse(text), path, among(*files)))) == imported


@pytest.mark.parametrize(("path", "text"), [("a.py", "from .. import b"), ("x/a.py", "\nfrom ...b import c")])
def test_an_import_that_leaves_the_folder_is_refused_with_its_line(path: str, text: str) -> None:
    with pytest.raises(ConfigError, match=rf"{path}:{text.count(chr(10)) + 1}: this import leaves the recipe's folder"):
        list(imported_files(ast.parse(text), path, among("b.py", "b/c.py")))


@pytest.mark.parametrize(
    "call", ["import_module('b')", "importlib.import_module('b.c')", "__import__('b')", "import_module('.b')"]
)
def test_an_import_by_a_string_would_not_count_and_is_refused(call: str) -> None:
    with pytest.raises(
        ConfigError,
        match=r"a\.py:1: b\S* is imported by a string, so its code would not be stored with the recipe; write: import b",
    ):
        list(imported_files(ast.parse(call), "a.py", among("b.py", "b/c.py")))
    assert list(imported_files(ast.parse(call), "a.py", among())) == []


def test_what_is_not_beside_the_recipe_is_named() -> None:
    text = "import json, b\nfrom numpy.linalg import norm\nfrom components.errors import require\nfrom . import c"
    outside = set(outside_names(ast.parse(text), "a.py", among("b.py", "c.py")))
    assert outside == {"json", "numpy.linalg", "numpy.linalg.norm", "components.errors", "components.errors.require"}


def test_strings_name_files_in_the_module_s_folder_or_in_the_recipe_s_and_docstrings_none() -> None:
    text = '"""notes.txt"""\nA = open("words.txt")\nB = ["../up.txt", "/abs.txt", "lists/more.txt", "x" * 3, "gone.txt"]'
    exists = among("x/words.txt", "words.txt", "lists/more.txt", "notes.txt", "up.txt")
    assert sorted(named_files(strings_of(ast.parse(text)), "x", exists)) == ["lists/more.txt", "x/words.txt"]
