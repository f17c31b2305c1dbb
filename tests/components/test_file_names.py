"""A config says which of its fields name files, and the same config with these elsewhere."""

from dataclasses import dataclass, field

import pytest

from components.decides import deciding
from components.file_names import FileName, ends_of, file_names, names_files, with_file_names


@dataclass(frozen=True, kw_only=True)
class Inner:
    texts: str = field(default="", metadata=names_files("shipped"))
    title: str = "/no/file"


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: tuple[Inner, ...] = ()
    lists: dict[str, str] = field(default_factory=dict, metadata=names_files("shipped"))
    lines: tuple[str, ...] = field(default=(), metadata=names_files())
    model: str = field(default="", metadata=names_files(patterns=("*.json",)))


WHOLE = Outer(
    inner=(Inner(texts="a/b.txt"), Inner(texts="shipped"), Inner()),
    lists={"en": "words/en.txt", "zh": "shipped"},
    lines=("one/x.jsonl", "file:///two/x.jsonl", "y.jsonl"),
    model="their/model/",
)


def test_every_file_is_found_with_where_it_stands_however_deep() -> None:
    assert [(file.field, file.uri, file.end) for file in file_names(WHOLE)] == [
        ("inner.0.texts", "a/b.txt", "b.txt"),
        ("lists.en", "words/en.txt", "en.txt"),
        ("lines.0", "one/x.jsonl", "one/x.jsonl"),
        ("lines.1", "file:///two/x.jsonl", "two/x.jsonl"),
        ("lines.2", "y.jsonl", "y.jsonl"),
        ("model", "their/model/", "model"),
    ]
    assert [file.patterns for file in file_names(WHOLE) if file.patterns] == [("*.json",)]


def test_the_same_config_with_its_files_elsewhere_has_all_else_as_it_was() -> None:
    def moved(file: FileName) -> str:
        return f"s3://bucket/{file.end}"

    there = with_file_names(WHOLE, moved)
    assert [file.uri for file in file_names(there)] == [f"s3://bucket/{file.end}" for file in file_names(WHOLE)]
    assert (there.inner[1], there.inner[2], there.lists["zh"]) == (WHOLE.inner[1], WHOLE.inner[2], "shipped")
    assert with_file_names(WHOLE, lambda file: file.uri) == WHOLE
    assert with_file_names(Outer(), moved) == Outer()


def test_names_of_files_decide_nothing() -> None:
    assert deciding(WHOLE) == {"inner": [{"title": "/no/file"}] * 3}


@pytest.mark.parametrize(
    ("uris", "ends"),
    [
        (["a/x", "b/x"], ["a/x", "b/x"]),
        (["a/x", "a/y"], ["x", "y"]),
        (["x", "a/x"], ["x", "a/x"]),
        (["a/x", "a/x"], ["a/x", "a/x"]),
        ([], []),
    ],
)
def test_the_end_of_a_path_is_as_long_as_tells_it_from_the_others(uris: list[str], ends: list[str]) -> None:
    assert ends_of(uris) == ends


def test_files_keep_their_ends_below_a_folder_named_by_their_content() -> None:
    """So what is called by the end of its path is called the same there."""
    lines = ("d/a/x", "d/b/x", "e/b/x", "y", "z/w")
    ends = ends_of(lines)
    there = [f"s3://bucket/uploads/{number:064x}/{end}" for number, end in enumerate(ends)]
    assert ends_of(there) == ends
