"""Laws in files: written whole, read back equal, refused with the file's name and what is wrong in it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError
from components.scaling.laws.files import find_any_law, find_law, find_text_law, law_fingerprint, read_law, write_law
from components.scaling.laws.law import Law, LossLaw
from components.scaling.laws.published import LAWS
from tests.components.scaling.text_truth import LAW as TEXT_LAW

FITTED = dataclasses.replace(
    LAWS["chinchilla"],
    name="mine",
    figure="bits_per_byte",
    runs=((1e8, 2e9, 3.1), (1e9, 2e10, 2.4)),
    loss=LossLaw(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37, draws=((1.8, 479.0, 2101.0, 0.35, 0.37, 0.001),)),
)


@pytest.mark.parametrize("law", [*LAWS.values(), FITTED], ids=lambda law: law.name)
def test_a_law_is_read_as_it_was_written(law: Law, tmp_path: Path) -> None:
    write_law(law, tmp_path / "law.json")
    assert read_law(tmp_path / "law.json") == law
    assert find_law(str(tmp_path / "law.json")) == law
    assert [path.name for path in tmp_path.iterdir()] == ["law.json"]


def test_a_published_law_is_found_by_its_name_and_nothing_else_is() -> None:
    assert find_law("kaplan") is LAWS["kaplan"]
    with pytest.raises(ConfigError, match=r"no law is called 'gpt' and no file lies there; allowed: deepseek, .*law file"):
        find_law("gpt")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": {"exponent": 1.5, "coefficient": 0.1}}, "exponent is 1.5; allowed: a number between -1 and 1"),
        ({"model": {"exponent": -0.5, "coefficient": 0.1}}, r"model.exponent is -0.5; allowed: a number between 0 and 1"),
        ({"model": {"exponent": "0.5", "coefficient": 0.1}}, "exponent is '0.5'"),
        ({"model": {"coefficient": 0.1}}, "not a law file .*exponent"),
        ({"colour": "blue"}, "not a law file .*colour"),
        ({"loss": {"E": 1.0}}, "not a law file"),
        ({"fitted": [1e17]}, "not a law file"),
    ],
)
def test_a_law_file_with_a_fault_is_refused_by_name(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    (tmp_path / "law.json").write_text(json.dumps(dataclasses.asdict(LAWS["chinchilla"]) | change))
    with pytest.raises(ConfigError, match=rf"law\.json: .*{words}"):
        read_law(tmp_path / "law.json")


def test_what_is_no_json_or_no_object_is_refused(tmp_path: Path) -> None:
    for text in ("{", "[]", "3"):
        (tmp_path / "law.json").write_text(text)
        with pytest.raises(ConfigError, match=r"law\.json: not a law file"):
            read_law(tmp_path / "law.json")


def test_the_fingerprint_of_a_law_file_is_that_of_its_content(tmp_path: Path) -> None:
    write_law(FITTED, tmp_path / "law.json")
    before = law_fingerprint(str(tmp_path / "law.json"))
    write_law(dataclasses.replace(FITTED, data="other"), tmp_path / "law.json")
    assert law_fingerprint(str(tmp_path / "law.json")) != before
    assert law_fingerprint("deepseek") == "deepseek"
    with pytest.raises(ConfigError, match="no file lies there"):
        law_fingerprint(str(tmp_path / "none.json"))


def test_the_law_of_a_text_is_found_by_its_path(tmp_path: Path) -> None:
    write_law(TEXT_LAW, tmp_path / "text.json")
    assert find_text_law(str(tmp_path / "text.json")) == TEXT_LAW


def test_a_law_of_a_text_in_place_of_a_law_is_refused_with_the_command_that_takes_it(tmp_path: Path) -> None:
    write_law(TEXT_LAW, tmp_path / "text.json")
    with pytest.raises(ConfigError, match=r"text\.json: the law of a text, .*: longrun plan --minutes M --law FILE"):
        find_law(str(tmp_path / "text.json"))


def test_what_is_no_law_of_a_text_is_refused_with_the_command_that_writes_one(tmp_path: Path) -> None:
    write_law(FITTED, tmp_path / "law.json")
    for name, words in (("law.json", "not a law file"), ("none.json", "missing"), ("deepseek", "the law deepseek is of no text")):
        with pytest.raises(ConfigError, match=f"{words}.*longrun sweep NAME"):
            find_text_law(name if name == "deepseek" else str(tmp_path / name))


def test_a_law_of_either_kind_is_found_by_its_file(tmp_path: Path) -> None:
    write_law(FITTED, tmp_path / "law.json")
    write_law(TEXT_LAW, tmp_path / "text-law.json")
    assert find_any_law(str(tmp_path / "law.json")) == FITTED
    assert find_any_law(str(tmp_path / "text-law.json")) == TEXT_LAW
    assert find_any_law("deepseek") == LAWS["deepseek"]
    with pytest.raises(ConfigError, match="no law is called 'nothing'"):
        find_any_law("nothing")
