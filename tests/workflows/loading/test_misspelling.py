"""A recipe file with a name that does not exist is answered with the one that was probably meant."""

from pathlib import Path

import pytest

from components.errors import ConfigError
from workflows.recipe import load_recipe

HEAD = """
from dataclasses import replace

from components.curation.config import CurationConfig, Source
from workflows.recipes.tiny import tiny


def mine():
    base = tiny()
"""


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("Source(uri='a', domain='web', weight=1.0, text_feild='body')", "text_field"),
        ("replace(base, curaton=base.curation)", "curation"),
        ("replace(base.pretraining.training.optimizer, clipp=1.0)", "clip"),
        ("base.pretrainin", "pretraining"),
        ("Sorce(uri='a', domain='web', weight=1.0)", "Source"),
        ("bse", "base"),
    ],
)
def test_a_misspelt_name_in_a_function_is_suggested_with_the_line(line: str, meant: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{HEAD}    return {line}\n")
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(tmp_path / "mine.py"))
    assert f"did you mean '{meant}'?" in str(caught.value)
    assert "failed in line 10:" in str(caught.value)


def test_a_misspelt_import_is_suggested_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HEAD.replace("CurationConfig,", "CurationConfg,"))
    with pytest.raises(ConfigError, match=r"imported in line 4: ImportError.*did you mean 'CurationConfig'\?"):
        load_recipe(str(tmp_path / "mine.py"))


def test_an_error_that_is_no_misspelling_gets_no_suggestion(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{HEAD}    return 1 / 0\n")
    with pytest.raises(ConfigError, match=r"failed in line 10: ZeroDivisionError: division by zero$"):
        load_recipe(str(tmp_path / "mine.py"))


def test_a_misspelt_value_of_a_field_with_a_fixed_choice_is_suggested() -> None:
    with pytest.raises(ConfigError, match=r"language_model is 'scrip' \(did you mean 'script'\?\); allowed: script, lid176"):
        load_recipe("tiny", ["curation.reading.language_model=scrip"])
