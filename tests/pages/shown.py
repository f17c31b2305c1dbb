"""The commands that pages show a reader: lines of `sh` blocks of every page, and code in the tables of the README."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.paths import ROOT

FOLDERS = ("charts", "components", "infra", "tests", "workflows")

PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
"""Every page of the project."""

README = ROOT / "README.md"

_PROGRAMS = r"longrun|make|mlflow"
"""What code in a table starts with if it is a command."""


def commands_of(text: str, *, tables: bool = False) -> Iterator[str]:
    """The commands of a page, a line each, without comments and without the path of the installation.

    tables: also take those that stand in a table.
    """
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
            command = re.sub(r"(^|\s+)# .*", "", line).strip()
            if command:
                yield command.removeprefix(".venv/bin/")
    if tables:
        rows = "\n".join(line for line in text.splitlines() if line.startswith("|"))
        yield from re.findall(rf"`((?:{_PROGRAMS}) [^`]+)`", rows)


def shown_on(page: Path) -> list[str]:
    """The commands of a page, each once."""
    return list(dict.fromkeys(commands_of(page.read_text(encoding="utf-8"), tables=page == README)))


def shown() -> list[str]:
    """The commands of all pages, each once, in the order of the pages."""
    return list(dict.fromkeys(command for page in PAGES for command in shown_on(page)))
