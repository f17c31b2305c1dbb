"""The page for scripts says what the code does: every exit code, and every event."""

import ast
import re
from collections.abc import Iterator

from components.errors import ExitCode
from tests.paths import MODULES, ROOT

PAGE = (ROOT / "workflows/scripts.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
EVENTS = {row[0].strip("`"): row[2] for row in ROWS if row[0].startswith("`")}
"""Event -> the cell with its fields."""


def documented(event: str) -> tuple[set[str], set[str]]:
    """The fields that an event always has, and those that may be absent."""
    cell = re.sub(r"\([^)]*\)", "", EVENTS[event])
    optional = set(re.findall(r"\[`(\w+)`", cell))
    return set(re.findall(r"`(\w+)`", cell)) - optional, optional


def written(text: str) -> Iterator[str]:
    """The events that a module writes to a journal or shows to listeners."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and node.args:
            function = node.func
            owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if (name == "write" and owner.endswith("journal")) or name == "show":
                first = node.args[0]
                names = (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,)
                yield from (str(name.value) for name in names if isinstance(name, ast.Constant))


def test_the_page_lists_the_exit_codes() -> None:
    assert [int(row[0]) for row in ROWS if row[0].isdecimal()] == list(ExitCode)


def test_the_page_lists_every_event_that_the_code_writes() -> None:
    in_code = {event for path in MODULES for event in written((ROOT / path).read_text(encoding="utf-8"))}
    assert in_code == set(EVENTS)


def test_an_event_that_is_written_is_noticed() -> None:
    text = 'run.journal.write("a", b=1); journal.show("c"); show("d" if x else "e"); stream.write("f"); print("g")'
    assert list(written(text)) == ["a", "c", "d", "e"]


def test_fields_are_read_from_the_page() -> None:
    assert documented("finished") == ({"failed", "exit_code"}, {"error", "message", "interrupted"})
