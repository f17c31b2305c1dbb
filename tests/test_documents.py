"""Pages and docstrings name what exists: links lead somewhere, and modules and files are where they are said to be."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages.shown import FOLDERS, PAGES
from tests.paths import ROOT

MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links and pictures of a page that lead nowhere: no such file, or no such heading in it."""
    targets = re.findall(r"\]\((?!https?:)([^)\s]+)\)", text) + re.findall(r'src(?:set)?="(?!https?:)([^"]+)"', text)
    return [target for target in targets if not leads_somewhere(page, *target.partition("#")[::2])]


def leads_somewhere(page: Path, target: str, anchor: str) -> bool:
    """Whether a file, and a heading in it where one is named, exist."""
    path = page.parent / target if target else page
    return path.exists() and (not anchor or anchor in anchors(path.read_text(encoding="utf-8")))


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def unknown_modules(text: str) -> Iterator[str]:
    """Dotted names of ours in backticks that are neither a module nor a name in one."""
    for name in re.findall(r"`((?:components|infra|workflows)(?:\.\w+)+)`", text):
        words = name.split(".")
        modules = (ROOT.joinpath(*words[:count]).with_suffix(".py") for count in range(len(words), 0, -1))
        module = next((path for path in modules if path.is_file()), None)
        inner = words[len(module.relative_to(ROOT).parts) :] if module else []
        known = ROOT.joinpath(*words).is_dir() if module is None else all(word in module.read_text() for word in inner)
        if not known:
            yield name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_what_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert broken_links(page, text) == []
    assert page.name == "CHANGELOG.md" or list(unknown_modules(text)) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_name_modules_that_exist(folder: str) -> None:
    unknown = {
        path.relative_to(ROOT): list(unknown_modules(path.read_text())) for path in MODULES if path.is_relative_to(ROOT / folder)
    }
    assert {path: names for path, names in unknown.items() if names} == {}


def test_a_wrong_link_and_a_wrong_module_are_found() -> None:
    links = "[here](nowhere.md) [there](README.md#two-commands) [not there](README.md#part) [far](https://example.org)"
    pictures = '<img src="no.svg"><img src="LICENSE">'
    assert broken_links(ROOT / "README.md", links + pictures) == ["nowhere.md", "README.md#part", "no.svg"]
    dots = "."
    names = [f"`components{dots}nothing`", f"`components{dots}errors{dots}NoError`", f"`components{dots}errors{dots}require`"]
    assert len(list(unknown_modules(" ".join(names)))) == 2
