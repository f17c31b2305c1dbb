"""Recipes in files of a user."""

from pathlib import Path

import pytest

from components.errors import ConfigError
from workflows.recipe import load_recipe

TEXT = "from workflows.recipes.tiny import tiny\n\n\ndef mine():\n    return tiny()\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A recipe file with one function."""
    (tmp_path / "mine.py").write_text(TEXT)
    return tmp_path / "mine.py"


def test_the_only_function_of_a_file_need_not_be_named(file: Path) -> None:
    assert load_recipe(str(file)) == load_recipe(f"{file}:mine")


def test_a_misspelt_function_of_a_file_is_suggested(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown function 'mien' \(did you mean 'mine'\?\); allowed: mine"):
        load_recipe(f"{file}:mien")


def test_a_file_with_two_functions_is_refused_unless_one_is_named(file: Path) -> None:
    file.write_text(f"{TEXT}\n\ndef other():\n    return tiny()\n")
    with pytest.raises(ConfigError, match=r"has 2 functions \(mine, other\); name one: mine.py:FUNCTION"):
        load_recipe(str(file))
