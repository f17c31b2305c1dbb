"""Code and prose of a Python file come apart without harm to either."""

import ast
from pathlib import Path

import pytest

from components.python_environment import distributions, module_name, split_module
from components.python_environment.modules import LONG_DOCSTRING

LONG = "Explains at length. " * (LONG_DOCSTRING // 10)


def test_long_docstrings_leave_the_code_and_become_prose_under_their_names() -> None:
    source = f'"""{LONG}"""\n\nclass A:\n    """{LONG}"""\n\n    def f(self):\n        """{LONG}"""\n        return 1\n'
    parts = split_module(source, "pack.mod")
    assert "Explains" not in parts.code
    assert [one.text.splitlines()[0] for one in parts.docstrings] == ["pack.mod", "pack.mod.A", "pack.mod.A.f"]
    assert all(LONG.strip() in one.text for one in parts.docstrings)
    assert all('"""' in source.splitlines()[one.line - 1] for one in parts.docstrings)


def test_short_docstrings_stay_in_the_code() -> None:
    source = 'def f():\n    """Return one."""\n    return 1\n'
    parts = split_module(source, "m")
    assert (parts.code, parts.docstrings) == (source, ())


def test_a_body_that_was_only_a_docstring_still_parses() -> None:
    parts = split_module(f'class A:\n    """{LONG}"""\n', "m")
    assert parts.code == "class A:\n    ...\n"


def test_a_docstring_that_shares_its_line_with_code_stays() -> None:
    source = f'def f(): """{LONG}"""; return 1\n'
    assert split_module(source, "m").code == source


def test_characters_before_the_docstring_do_not_shift_the_cut() -> None:
    source = f"é = 'ü'\n\n\ndef f():\n    '''{LONG}é'''  # note\n    return 'ñ'\n"
    assert split_module(source, "m").code == "é = 'ü'\n\n\ndef f():\n    return 'ñ'\n"


def test_form_feeds_do_not_count_as_lines() -> None:
    source = f'x = 1\n\x0c\ndef f():\n    """{LONG}"""\n    return x\n'
    assert split_module(source, "m").code == "x = 1\n\x0c\ndef f():\n    return x\n"


@pytest.mark.parametrize(
    "source", ['"""a"""\nprint 1\n', '"""a"""\n{{ name }} = \n', '"""a"""\nx = "\0"\n', '"""a"""\n' + "(" * 500]
)
def test_what_does_not_parse_is_a_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        split_module(source, "m")


@pytest.mark.long
def test_every_module_of_a_real_distribution_still_means_the_same_without_its_long_docstrings() -> None:
    (found,) = distributions(["networkx"])
    for file in found.modules[:150]:
        source = Path(file.location).read_text(encoding="utf-8")
        parts = split_module(source, module_name(file.path))
        assert without_docstrings(parts.code) == without_docstrings(source), file.path


def without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
            node.body = [s for s in node.body if not (isinstance(s, ast.Expr) and getattr(s.value, "value", 0) is ...)]
    return ast.dump(tree)
