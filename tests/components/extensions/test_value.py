"""An extension as a value: what it may say, and that it is the same wherever it arrives."""

import dataclasses
from pathlib import Path

import pytest

from components.decides import deciding
from components.errors import ConfigError
from components.extensions import Extension, ExtensionFile, extensions_in, gathered, recorded


@pytest.mark.parametrize(
    "code",
    [
        *("filters:NoAds", "filters.py", "filters.py:", "../filters.py:NoAds", "/tmp/filters.py:NoAds", "a/../../filters.py:X"),
        *("~/filters.py:X", "v1.2/filters.py:X", "filters.py:No-Ads", "..\\filters.py:X", ""),
    ],
)
def test_a_name_that_is_none_or_leaves_the_folder_is_refused_with_the_form(code: str) -> None:
    with pytest.raises(ConfigError, match=r"Extension\.code is .*allowed: FILE\.py:CLASS, a file in the recipe's folder"):
        Extension(code=code)


@pytest.mark.parametrize("code", ["filters.py:NoAds", "a/b/filters.py:_Own1", "my-filters.py:Größe"])
def test_names_in_the_folder_and_below_are_allowed(code: str) -> None:
    assert Extension(code=code).code == code


@pytest.mark.parametrize("path", ["../words.txt", "/etc/passwd", ""])
def test_data_outside_the_folder_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"Extension\.data is .*in the recipe's folder"):
        Extension(code="filters.py:NoAds", data=(path,))


@pytest.mark.parametrize("values", [{"a": object()}, {"a": float("nan")}, {"a": {1, 2}}, {"path": Path("x")}])
def test_values_that_json_cannot_say_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"Extension\.values of filters\.py:NoAds is .*; allowed: numbers, strings"):
        Extension(code="filters.py:NoAds", values=values)


def test_values_are_as_json_brings_them_back() -> None:
    assert Extension(code="a.py:A", values={"words": ("x", "y"), "shares": {"web": 0.1}}).values == {
        "words": ["x", "y"],
        "shares": {"web": 0.1},
    }


def test_reports_call_it_by_its_class_unless_it_has_a_name() -> None:
    assert Extension(code="a.py:NoAds").label == "no-ads"
    assert Extension(code="a.py:NoAds", name="strict").label == "strict"


@pytest.mark.parametrize("content", [b"", b"text\n", "Größe".encode(), b"\xff\x00\x01"])
def test_a_file_holds_every_byte(content: bytes) -> None:
    file = ExtensionFile.of("a", content, is_module=False)
    assert file.content == content
    assert file.is_text == (content != b"\xff\x00\x01")


def test_extensions_are_known_however_deep_they_are() -> None:
    first, second, third = (Extension(code=f"{name}.py:A") for name in "abc")

    @dataclasses.dataclass(frozen=True)
    class Inner:
        filters: tuple[Extension, ...] = (first, second)

    @dataclasses.dataclass(frozen=True)
    class Outer:
        inner: Inner = dataclasses.field(default_factory=Inner)
        by_name: dict[str, list[Extension]] = dataclasses.field(default_factory=lambda: {"x": [third]})
        number: int = 1

    assert list(extensions_in(Outer())) == [first, second, third]


def test_its_files_stand_in_records_by_their_digest_and_decide_by_their_meaning_alone(folder: Path) -> None:
    extension = gathered(Extension(code="filters.py:NoAds"), folder)
    assert recorded(extension)["files"][0] == {"path": "ads.json", "sha256": extension.files[0].digest}
    assert "files" not in deciding(extension)
