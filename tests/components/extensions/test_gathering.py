"""The code of an extension is read with all that it needs, and nothing else, and tried out at once."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from components.errors import ConfigError
from components.extensions import FILTER, Extension, gathered, kind
from components.extensions.gathering import MAX_BYTES
from tests.components.extensions.conftest import write

NO_ADS = Extension(code="filters.py:NoAds", values={"max_share": 0.3})


@dataclass(frozen=True)
class Config:
    filters: tuple[Extension, ...] = field(default=(), metadata=kind(FILTER))
    by_name: dict[str, Extension] = field(default_factory=dict)
    other: int = 1


def paths(extension: Extension) -> list[str]:
    return [file.path for file in extension.files]


def test_modules_that_are_imported_and_files_that_are_named_are_taken_and_others_are_not(folder: Path) -> None:
    whole = gathered(NO_ADS, folder)
    assert paths(whole) == ["ads.json", "filters.py", "rules/bounds.py", "rules/shares.py", "words.py"]
    assert [file.path for file in whole.files if not file.is_module] == ["ads.json"]
    assert whole.files[0].content == (folder / "ads.json").read_bytes()


def test_files_that_values_name_and_those_that_are_listed_are_taken(folder: Path) -> None:
    write(folder, {"lists/a.txt": "a", "lists/deep/b.bin": "b", "lists/.hidden": "h", "lists/__pycache__/c.pyc": "c"})
    named = gathered(
        Extension(code="words.py:X", values={"files": ["notes.txt", "none.txt"]}, data=("lists", "ads.json")), folder
    )
    assert paths(named) == ["ads.json", "lists/a.txt", "lists/deep/b.bin", "notes.txt", "words.py"]


def test_every_extension_of_a_config_is_read_and_the_rest_stays_as_it_was(folder: Path) -> None:
    config = Config(filters=(NO_ADS, replace(NO_ADS, name="again")), by_name={"x": NO_ADS})
    whole = gathered(config, folder)
    assert [len(each.files) for each in (*whole.filters, whole.by_name["x"])] == [5, 5, 5]
    assert replace(whole, filters=config.filters, by_name=config.by_name) == config
    plain = Config(other=2)
    assert gathered(plain, folder) is plain


def test_what_was_read_once_stays_whatever_happens_to_its_folder(folder: Path) -> None:
    whole = gathered(Config(filters=(NO_ADS,)), folder)
    (folder / "words.py").unlink()
    assert gathered(whole, folder.parent) is whole


@pytest.mark.parametrize(
    ("files", "extension", "message"),
    [
        ({}, Extension(code="none.py:A"), r"extension none\.py:A: \S*/mine/none\.py does not exist"),
        ({}, replace(NO_ADS, data=("none.txt",)), r"\S*/mine/none\.txt does not exist, but Extension\.data lists it"),
        ({"filters.py": "import words\nclass A(:\n"}, NO_ADS, r"\S*/mine/filters\.py:2: not valid Python: "),
        ({"words.py": "def of(:\n"}, NO_ADS, r"\S*/mine/words\.py:1: not valid Python: "),
        ({"words.py": "from .. import x"}, NO_ADS, r"words\.py:1: this import leaves the recipe's folder"),
        ({}, Extension(code="filters.py:NoAd"), r"filter filters\.py:NoAd: unknown class 'NoAd' \(did you mean 'NoAds'\?\)"),
        ({}, replace(NO_ADS, values={"share": 1}), r"filter filters\.py:NoAds, line 10: NoAds\(max_share: float = 0\.2\)"),
        ({"words.py": "1 / 0"}, NO_ADS, r"words\.py:1: import failed: ZeroDivisionError: division by zero"),
        ({"words.py": "import nowhere_to_be_had"}, NO_ADS, r"words\.py:1: import failed: ModuleNotFoundError: No module"),
        (
            {"words.py": "x = 1\nfrom rules import none"},
            NO_ADS,
            r"words\.py:2: import failed: ModuleNotFoundError: No module named 'rules'",
        ),
    ],
)
def test_what_is_wrong_with_the_code_is_said_with_its_file_and_line(
    folder: Path, files: dict[str, str], extension: Extension, message: str
) -> None:
    write(folder, files)
    with pytest.raises(ConfigError, match=message):
        gathered(Config(filters=(extension,)), folder)


def test_code_and_data_that_are_too_large_to_travel_are_refused_with_the_largest_file(folder: Path) -> None:
    (folder / "ads.json").write_text('["' + "x" * MAX_BYTES + '"]')
    with pytest.raises(
        ConfigError, match=r"code and data have 1,0\d\d,\d{3} bytes, 1,048,580 of them in ads\.json; allowed: 1,048,576"
    ):
        gathered(NO_ADS, folder)


def test_a_module_that_no_distribution_has_cannot_count_and_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path / "elsewhere", {"without_distribution.py": "X = 1\n"})
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    write(folder, {"words.py": "import without_distribution\n\ndef of(text):\n    return text.split()\n"})
    with pytest.raises(
        ConfigError, match=r"imports without_distribution, which is neither in the recipe's folder nor in an installed"
    ):
        gathered(NO_ADS, folder)
