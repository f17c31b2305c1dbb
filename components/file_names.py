"""Which fields of a config name files, and a config in which these lie elsewhere.

A field says so itself, by its metadata, so that whoever must know all files of a recipe finds those of a new field too. The names
decide nothing: the field's step has a fact that stands for the files, such as a fingerprint.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeVar

from components.decides import DECIDES_NOTHING

_FILES = "files"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Naming:
    """How a field names files."""

    others: tuple[str, ...]
    """Values that name none, such as that of a list that is shipped."""
    patterns: tuple[str, ...]
    """Which files of a folder are read, and none below it; empty: all that are at or below it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileName:
    """One file or folder that a config names."""

    field: str
    """Where it stands in the config, such as `curation.sources.0.uri`."""
    uri: str
    """A path, or a URI."""
    end: str
    """What must stay of its path where it is put elsewhere: its last name, or more where others have the same one."""
    patterns: tuple[str, ...]
    """As in `Naming`."""


def names_files(*others: str, patterns: tuple[str, ...] = ()) -> "Mapping[str, bool | Naming]":
    """Metadata of a field that holds a path or URI, a tuple of them, or a mapping to them; empty ones name no file."""
    return {**DECIDES_NOTHING, _FILES: Naming(others, patterns)}


def naming_of(field: "dataclasses.Field[Any]") -> Naming | None:
    """How a field names files; None: it names none."""
    naming: Naming | None = field.metadata.get(_FILES)
    return naming


def file_names(config: Any, where: str = "") -> Iterator[FileName]:
    """Every file or folder that a config names, however deep, in the order of its fields."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        for field in dataclasses.fields(config):
            inner, value = f"{where}.{field.name}".lstrip("."), getattr(config, field.name)
            if naming := naming_of(field):
                yield from _named(value, naming, inner)
            else:
                yield from file_names(value, inner)
    elif isinstance(config, Mapping):
        for name, value in config.items():
            yield from file_names(value, f"{where}.{name}")
    elif isinstance(config, tuple | list):
        for position, value in enumerate(config):
            yield from file_names(value, f"{where}.{position}")


def _named(value: Any, naming: Naming, where: str) -> Iterator[FileName]:
    if isinstance(value, tuple | list):
        named = {f"{where}.{position}": (uri, end) for position, (uri, end) in enumerate(zip(value, ends_of(value), strict=True))}
    else:
        inner = {f"{where}.{key}": uri for key, uri in value.items()} if isinstance(value, Mapping) else {where: value}
        named = {field: (uri, ends_of([uri])[0]) for field, uri in inner.items()}
    for field, (uri, end) in named.items():
        if uri and uri not in naming.others:
            yield FileName(field=field, uri=uri, end=end, patterns=naming.patterns)


def ends_of(uris: Sequence[str]) -> list[str]:
    """The shortest end of each path that tells it from the others, wherever they lie; all of one that stands there twice."""
    paths = [PurePath(uri.removeprefix("file://")).parts for uri in uris]
    ends = []
    for path in paths:
        tried = (path[-length:] for length in range(1, len(path) + 1))
        alone = (end for end in tried if sum(other[-len(end) :] == end for other in paths) == 1)
        ends.append("/".join(next(alone, path)))
    return ends


def with_file_names(config: Value, renamed: Callable[[FileName], str]) -> Value:
    """A config whose files are called as `renamed` says."""
    names = {file.field: renamed(file) for file in file_names(config)}
    changed: Value = _replaced(config, names, "")
    return changed


def _replaced(config: Any, names: Mapping[str, str], where: str) -> Any:
    if where in names:
        return names[where]
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = [field.name for field in dataclasses.fields(config) if field.init]
        inner = {name: _replaced(getattr(config, name), names, f"{where}.{name}".lstrip(".")) for name in fields}
        changed = {name: value for name, value in inner.items() if value is not getattr(config, name)}
        return dataclasses.replace(config, **changed) if changed else config
    if isinstance(config, Mapping):
        mapped = {key: _replaced(value, names, f"{where}.{key}") for key, value in config.items()}
        return mapped if any(mapped[key] is not value for key, value in config.items()) else config
    if isinstance(config, tuple):
        items = tuple(_replaced(value, names, f"{where}.{position}") for position, value in enumerate(config))
        return items if any(new is not old for new, old in zip(items, config, strict=True)) else config
    return config
