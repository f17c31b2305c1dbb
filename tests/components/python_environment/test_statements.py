"""Definitions and docstrings are found at the right bytes of a file, with the right owners."""

import numpy as np
import pytest

from components.python_environment.statements import MODULE, find_docstrings

SOURCE = b'''"""module"""
class A:
    "of A"
    async def f(self): r"of f"
    if x:
        def hidden():
            "of hidden"
def g(
    a="not this",
):
    ("of "
     "g")
    "nor this"
'''


def parsed(source: bytes) -> tuple[list[tuple[int, str]], list[tuple[int, str, bool]]]:
    definitions, strings = find_docstrings(np.frombuffer(source, dtype=np.uint8))
    return (
        [(owner, source[start:end].decode()) for owner, start, end in definitions.tolist()],
        [(owner, source[start:end].decode(), bool(alone)) for owner, start, end, alone in strings.tolist()],
    )


def test_definitions_have_owners_and_those_in_other_blocks_are_left_out() -> None:
    assert parsed(SOURCE)[0] == [(MODULE, "A"), (0, "f"), (MODULE, "g")]


def test_strings_are_the_first_statements_of_their_blocks() -> None:
    assert parsed(SOURCE)[1] == [(MODULE, '"""module"""', False), (0, '"of A"', False), (2, '("of "\n     "g")', False)]


@pytest.mark.parametrize(
    ("body", "alone"),
    [("    'text'", True), ("    'text'\n", True), ("    'text'\n    # a note\n\n", True), ("    'text'\n    x\n", False)],
)
def test_a_string_is_alone_unless_another_statement_follows_in_its_block(body: str, alone: bool) -> None:
    _, strings = parsed(f"class A:\n{body}".encode())
    assert strings == [(0, "'text'", alone)]


def test_a_name_ends_where_its_word_does_whatever_follows() -> None:
    assert parsed("def  größe\\\n (x): pass\nclass B(A): pass\ndefine = 1\n".encode())[0] == [(MODULE, "größe"), (MODULE, "B")]


def test_a_file_without_statements_has_nothing() -> None:
    assert parsed(b"# only a note\n\n") == ([], [])


def test_a_fault_is_told_with_its_line() -> None:
    with pytest.raises(SyntaxError, match="line 3: a bracket that was not opened"):
        parsed(b"x = (\n1)\ny)\n")
