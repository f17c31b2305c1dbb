"""Reads and writes the typed values that artifacts hold as JSON files.

A value is a frozen dataclass whose fields are numbers, strings, tuples, mappings with string keys, or further such dataclasses.
Equal values have equal bytes. Files with missing, unknown or mistyped fields are refused when they are read.
"""

import dataclasses
import functools
import json
import types
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from components.errors import ArtifactError, ConfigError, DamagedArtifact, MissingArtifact, NewerFormat
from components.files import JSON, read_json_lines, write_text, written_beside

Value = TypeVar("Value")

FORMAT: Final = "format_version"
"""The key that holds a file's format version. Files of format 1 do not have it."""

OPTIONAL: Final[Mapping[str, bool]] = {"optional": True}
"""Metadata for a field that is left out of the file when it is empty."""


class JsonFile:
    """Base class of dataclasses that are stored as a JSON file in the directory of an artifact."""

    __slots__ = ()

    NAME: ClassVar[str]
    """Name of the file."""
    STEP: ClassVar[str]
    """The step or command that writes the file; error messages say to run it again."""
    DERIVED: ClassVar[tuple[str, ...]] = ()
    """Properties that are written to the file for other programs, and ignored when it is read."""
    VERSION: ClassVar[int] = 1
    """Format version that is written. Older versions can be read."""

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the value from the file `NAME` in `directory`.

        Raises:
            MissingArtifact: the file does not exist.
            NewerFormat: a later version of longrun wrote it.
            DamagedArtifact: the file cannot be read, or does not hold a complete value of this class.
        """
        path = directory / cls.NAME
        try:
            return cls.from_bytes(path.read_bytes(), str(path))
        except FileNotFoundError as error:
            raise MissingArtifact(f"{path}: missing; {cls._remedy()}") from error
        except OSError as error:
            raise DamagedArtifact(f"{path}: cannot be read ({error}); {cls._remedy()}") from error

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Parse the bytes of a file; `where` is its name in error messages. Raises `NewerFormat` or `DamagedArtifact`."""
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DamagedArtifact(f"{where}: not JSON ({error}); {cls._remedy()}") from error
        version = raw.pop(FORMAT, 1) if isinstance(raw, dict) else 1
        if type(version) is int and version > cls.VERSION:
            raise NewerFormat(f"{where}: format version {version}; this longrun reads up to {cls.VERSION}: upgrade it")
        try:
            if type(version) is not int or version < 1:
                raise ValueError(f"format version is {_shown(version)}, not a positive integer")
            return decoded(cls, cls.upgraded(raw, version) if isinstance(raw, dict) else raw, ignored=cls.DERIVED)
        except (ValueError, ConfigError) as error:
            raise DamagedArtifact(f"{where}: not a valid {cls.__name__} ({error}); {cls._remedy()}") from error

    @classmethod
    def upgraded(cls, raw: dict[str, Any], version: int) -> dict[str, Any]:
        """Convert the fields of a file with format `version` to those of `VERSION`. Raises `ValueError` if it is invalid."""
        return raw

    @classmethod
    def _remedy(cls) -> str:
        return f"written by {cls.STEP}: run that again"

    def write(self, directory: Path) -> None:
        """Write the value into `directory`, which must exist. Raises `ArtifactError` if a number is not finite."""
        write_text(directory / self.NAME, self.to_json())

    def to_json(self) -> str:
        """The text of the file. Keys are sorted, so that equal values have equal bytes."""
        derived = {name: getattr(self, name) for name in self.DERIVED} | ({FORMAT: self.VERSION} if self.VERSION > 1 else {})
        try:
            return json.dumps(encoded(self) | derived, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
        except ValueError as error:
            raise ArtifactError(f"{self.NAME}: cannot be written as JSON ({error}); allowed: finite numbers") from error


class JsonLine:
    """Base class of dataclasses that are stored as lines of `train.jsonl` and `validation.jsonl`."""

    __slots__ = ()

    STEP: ClassVar[str]
    """The step that writes these files; error messages say to run it again."""

    @classmethod
    def read(cls, directory: Path, split: str) -> list[Self]:
        """Read the lines of one split.

        Raises:
            MissingArtifact: the file does not exist.
            DamagedArtifact: a line does not hold a complete value of this class.
        """
        path, remedy = directory / f"{split}.jsonl", f"written by {cls.STEP}: run that again"
        rows = read_json_lines(path, remedy)
        try:
            return [decoded(cls, row, f"line {number}") for number, row in enumerate(rows, start=1)]
        except ValueError as error:
            raise DamagedArtifact(f"{path}: {error}; {remedy}") from error

    @classmethod
    def write(cls, lines: Iterable[Self], directory: Path, split: str) -> None:
        """Write the lines of one split, with keys in the order of the fields and non-ASCII characters unescaped."""
        text = (json.dumps(encoded(line), ensure_ascii=False) + "\n" for line in lines)
        with written_beside(directory / f"{split}.jsonl") as path, path.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(text)


def encoded(value: Any) -> dict[str, JSON]:
    """The fields of a dataclass as JSON values, including nested dataclasses. Empty `OPTIONAL` fields are left out."""
    return {
        field.name: _encoded(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if not (field.metadata.get("optional") and not getattr(value, field.name))
    }


def _encoded(value: Any) -> JSON:
    if dataclasses.is_dataclass(value):
        return encoded(value)
    if isinstance(value, Mapping):
        return {name: _encoded(item) for name, item in value.items()}
    return [_encoded(item) for item in value] if isinstance(value, list | tuple) else value


def decoded(kind: type[Value], raw: object, name: str = "", *, ignored: Collection[str] = ()) -> Value:
    """Make a dataclass of type `kind` from a JSON object.

    `name` is the path to the object in error messages; keys in `ignored` are skipped.

    Raises:
        ValueError: a field is missing, unknown or of the wrong type.
        ConfigError: `kind` does not accept the values.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"{name or kind.__name__} is {_shown(raw)}, not a JSON object")
    owner: Any = kind
    hints, prefix = _hints(owner), f"{name}." if name else ""
    if unknown := sorted(raw.keys() - hints.keys() - set(ignored)):
        raise ValueError(f"unknown field {prefix}{unknown[0]}")
    if missing := [field for field in _required(kind) if field not in raw]:
        raise ValueError(f"missing field {prefix}{missing[0]}")
    return kind(**{field: _decoded(hints[field], value, prefix + field) for field, value in raw.items() if field in hints})


def _decoded(hint: Any, raw: object, name: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return decoded(hint, raw, name)
    if origin in (Union, types.UnionType):
        # Besides None, at most one alternative is not a plain value
        return None if raw is None and type(None) in arguments else _decoded(_alternative(arguments, raw), raw, name)
    if origin is Literal and raw in arguments:
        return raw
    if origin is tuple and isinstance(raw, list):
        return _tuple(arguments, raw, name)
    if origin is Sequence and isinstance(raw, list):
        return list(_tuple((arguments[0], ...), raw, name))
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(raw, dict):
        return {key: _decoded(arguments[1], value, f"{name}.{key}") for key, value in raw.items()}
    if isinstance(hint, type) and _is(hint, raw):
        return raw
    raise ValueError(f"{name} is {_shown(raw)}, not {_described(hint)}")


def _alternative(arguments: tuple[Any, ...], raw: object) -> Any:
    plain = [hint for hint in arguments if isinstance(hint, type) and _is(hint, raw)]
    return next(iter([*plain, *(hint for hint in arguments if hint is not type(None))]))


def _tuple(arguments: tuple[Any, ...], raw: list[Any], name: str) -> tuple[Any, ...]:
    if arguments[-1] is Ellipsis:
        return tuple(_decoded(arguments[0], value, f"{name}[{index}]") for index, value in enumerate(raw))
    if len(raw) != len(arguments):
        raise ValueError(f"{name} has {len(raw)} entries, not {len(arguments)}")
    return tuple(
        _decoded(hint, value, f"{name}[{index}]") for index, (hint, value) in enumerate(zip(arguments, raw, strict=True))
    )


def _is(hint: type, raw: object) -> bool:
    """Whether a plain JSON value is of that type. An integer is accepted as a float; a bool is not accepted as a number."""
    if hint is object:
        return True
    if hint is float:
        return isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) < float("inf")
    return isinstance(raw, hint) and (hint is bool or not isinstance(raw, bool)) and not dataclasses.is_dataclass(hint)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _required(kind: Any) -> Iterator[str]:
    for field in dataclasses.fields(kind):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            yield field.name


def _described(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= 40 else f"{text[:37]}..."
