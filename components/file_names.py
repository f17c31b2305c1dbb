"""Finds the files that a config names, and replaces their paths, for example when the files are copied to a bucket.

A field declares in its metadata that it names files, so files of a new field are found without further code. Paths are not part
of the cache key: the step that reads the files adds a fingerprint of them instead.
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
    """Values that do not name a file, such as the name of a built-in list."""
    patterns: tuple[str, ...]
    """If the field names a folder: patterns of the files that are read directly in it; empty: all files at any depth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileName:
    """One file or folder that a config names."""

    field: str
    """Dotted name of the config field, such as `curation.sources.0.uri`."""
    uri: str
    """Path or URI of the file or folder."""
    end: str
    """The end of the path that a copy must keep: the last name, or more names if the field lists another path with the same
    one."""
    patterns: tuple[str, ...]
    """See `Naming.patterns`."""


def names_files(*others: str, patterns: tuple[str, ...] = ()) -> "Mapping[str, bool | Naming]":
    """Metadata for a field that holds a path or URI, a tuple of them, or a mapping with them as values.

    An empty value, or one of `others`, does not name a file. `patterns`: see `Naming.patterns`.
    """
    return {**DECIDES_NOTHING, _FILES: Naming(others, patterns)}


def naming_of(field: "dataclasses.Field[Any]") -> Naming | None:
    """How a field names files; None if it does not."""
    naming: Naming | None = field.metadata.get(_FILES)
    return naming


def file_names(config: Any, where: str = "") -> Iterator[FileName]:
    """Every file or folder that a config names, at any depth. `where` is the dotted name of `config` itself."""
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
    """For each path, its shortest end that no other path has; the whole path if it occurs twice."""
    paths = [PurePath(uri.removeprefix("file://")).parts for uri in uris]
    ends = []
    for path in paths:
        tried = (path[-length:] for length in range(1, len(path) + 1))
        alone = (end for end in tried if sum(other[-len(end) :] == end for other in paths) == 1)
        ends.append("/".join(next(alone, path)))
    return ends


def with_file_names(config: Value, renamed: Callable[[FileName], str]) -> Value:
    """A copy of the config in which each file has the name that `renamed` returns for it."""
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
