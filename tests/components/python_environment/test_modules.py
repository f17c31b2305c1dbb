"""A Python file is split into code and prose without losing or changing either."""

import ast
import contextlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.python_environment import distributions, module_name, split_module
from components.python_environment.modules import LONG_DOCSTRING

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

LONG = "Explains at length. " * (LONG_DOCSTRING // 10)


def test_long_docstrings_leave_the_code_and_become_prose_under_their_names() -> None:
    source = f'"""{LONG}"""\n\nclass A:\n    """{LONG}"""\n\n    def f(self):\n        """{LONG}"""\n        return 1\n'
    split = split_module(source, "pack.mod")
    assert "Explains" not in split.code
    assert [docstring.text.splitlines()[0] for docstring in split.docstrings] == ["pack.mod", "pack.mod.A", "pack.mod.A.f"]
    assert all(LONG.strip() in docstring.text for docstring in split.docstrings)
    assert all('"""' in source.splitlines()[docstring.line - 1] for docstring in split.docstrings)


def test_short_docstrings_stay_in_the_code() -> None:
    source = 'def f():\n    """Return one."""\n    return 1\n'
    split = split_module(source, "m")
    assert (split.code, split.docstrings) == (source, ())


def test_a_body_that_was_only_a_docstring_still_parses() -> None:
    split = split_module(f'class A:\n    """{LONG}"""\n', "m")
    assert split.code == "class A:\n    ...\n"


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
    ("source", "fault"),
    [
        ('x = 1\nx = "\0"\n', "line 2: a string that does not end"),
        ("x = \0\n", "line 1: a null character"),
        ("x = 1\n\nx = 'it\n", "line 3: a string that does not end"),
        ('"""a\n\n', "line 1: a string that does not end"),
        ("'\\", "line 1: a string that does not end"),
        ("(" * 500, "line 1: a bracket that does not close"),
        ("f(1))\n", "line 1: a bracket that was not opened"),
        ("x = \\ 1\n", "line 1: a backslash in the middle of a line"),
        ("if x:\n    y\n  z\n", "line 3: a dedent that matches no outer block"),
        ("Dear reader\n  of this\n", "line 2: an indent after a line without a colon"),
        (" x = 1\n", "line 1: an indent after a line without a colon"),
        ("".join(f"{' ' * depth}if x:\n" for depth in range(102)), "line 102: too many nested blocks"),
    ],
)
def test_strings_brackets_and_indentation_that_do_not_hold_together_are_a_syntax_error(source: str, fault: str) -> None:
    with pytest.raises(SyntaxError, match=f"^{fault}$"):
        split_module(source, "m")


@pytest.mark.parametrize(
    "source", ["print 1\n", "type A = int\n", 'x = f"{a["b"]}"\n', "x = 0777\n", "", "\n", "# alone", "x \\"]
)
def test_what_another_python_reads_is_code_too(source: str) -> None:
    assert split_module(source, "m").code == source


@pytest.mark.parametrize(
    "body",
    [
        f'f"""{LONG}{{x}}"""',
        f'b"""{LONG}"""',
        f'"""{LONG}""".strip()',
        f'"""{LONG}""", 1',
        f'return"""{LONG}"""',
        f'x = 1\n    """{LONG}"""',
        f'if x:\n        """{LONG}"""',
        f'if x:\n        def g():\n            """{LONG}"""',
        f'x = {{\n"a":\n    """{LONG}"""}}',
        f'"""{LONG}"""; return 1',
        '"""' + "\\n" * (LONG_DOCSTRING - 1) + '"""  # twice as long as what it stands for',
    ],
)
def test_other_long_strings_stay_in_the_code(body: str) -> None:
    source = f"def f():\n    {body}\n"
    split = split_module(source, "m")
    assert (split.code, split.docstrings) == (source, ())


@pytest.mark.parametrize(
    "written",
    [
        f'r"""{LONG}"""',
        f"U'''{LONG}'''  # a note",
        f'("{LONG}")',
        f'("{LONG[:100]}"  # in parts\n  "{LONG[100:]}"\n)',
        f'"{LONG[:100]}" \\\n"{LONG[100:]}"',
    ],
)
def test_docstrings_are_found_however_they_are_written(written: str) -> None:
    before, after = "class A:\n  async  def f(\n  self, a = ':'\n):  # why\n    # because\n\n", "    return 1\n"
    split = split_module(f"{before}    {written}\n{after}", "m")
    assert split.code == before + after
    assert [(docstring.line, docstring.text) for docstring in split.docstrings] == [(7, f"m.A.f\n\n{LONG}\n")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(end: str) -> None:
    source = f'x = 1\ndef f():\n\t"""{LONG}\n\tMore."""\n\treturn 1\nclass A: """{LONG}"""\n'
    split = split_module(source.replace("\n", end), "m")
    assert split.code == f'x = 1\ndef f():\n\treturn 1\nclass A: """{LONG}"""\n'
    assert [(docstring.line, docstring.text) for docstring in split.docstrings] == [(3, f"m.f\n\n{LONG}\nMore.\n")]


@pytest.mark.long
def test_docstrings_are_those_of_the_syntax_tree() -> None:
    compared = 0
    for distribution in distributions(["networkx", "scipy", "mlflow"]):
        for file in distribution.modules[:400]:
            source = Path(file.location).read_text(encoding="utf-8")
            docstrings = [(docstring.line, docstring.text) for docstring in split_module(source, "m").docstrings]
            assert docstrings == of_the_tree(ast.parse(source)), file.path
            compared += len(docstrings)
    assert compared > 1000


def of_the_tree(tree: ast.Module) -> list[tuple[int, str]]:
    """The line and text of each long docstring."""
    return [(node.body[0].lineno, f"{name}\n\n{inspect.cleandoc(text)}\n") for node, name, text in documented(tree, "m")]


def without_docstrings(tree: ast.Module) -> str:
    """The syntax tree without its long docstrings."""
    for node, _, _ in list(documented(tree, "m")):
        filled = [] if isinstance(node, ast.Module) else [ast.Expr(ast.Constant(...))]
        node.body = node.body[1:] or filled
    return ast.dump(tree)


def documented(node: Documented, name: str) -> Iterator[tuple[Documented, str, str]]:
    """Each definition with a long docstring, its dotted name, and the docstring."""
    text = ast.get_docstring(node, clean=False) or ""
    if len(text) >= LONG_DOCSTRING:
        yield node, name, text
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from documented(child, f"{name}.{child.name}")


PIECES = (
    *("def f(a, *, b=(1, 2)):", "async def g():", "class A(B):", "if x:", "else:", "x = [", "]", "(", ")", "pass", "return 1"),
    *(
        f'"""{LONG}"""',
        f"'{LONG}'",
        f'r"""{LONG}""" # note',
        f"f'{LONG}'",
        f'"""{LONG}\n\tdef h():',
        '"""',
        "# def k():",
        "x = \\",
        "",
    ),
)
"""Lines from which random modules are made."""


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "  ", "    ", "\t"]), st.sampled_from(PIECES)), max_size=8))
def test_whatever_parses_comes_apart_as_its_syntax_tree_does_and_nothing_else_does_harm(lines: list[tuple[str, str]]) -> None:
    source = "\n".join(map("".join, lines))
    try:
        tree = ast.parse(source)
    except SyntaxError:
        with contextlib.suppress(SyntaxError):
            split_module(source, "m")
        return
    split = split_module(source, "m")
    assert [docstring.text for docstring in split.docstrings] == [text for _, text in of_the_tree(tree)]
    assert ast.dump(ast.parse(split.code)) == without_docstrings(tree)


@pytest.mark.long
def test_every_module_of_a_real_distribution_still_means_the_same_without_its_long_docstrings() -> None:
    (distribution,) = distributions(["networkx"])
    for file in distribution.modules[:150]:
        source = Path(file.location).read_text(encoding="utf-8")
        split = split_module(source, module_name(file.path))
        assert ast.dump(ast.parse(split.code)) == without_docstrings(ast.parse(source)), file.path
