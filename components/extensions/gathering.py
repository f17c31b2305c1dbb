"""Reads the code and data files of a recipe's extensions into the config, so that the recipe's folder is not needed later."""

import ast
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from components.errors import ConfigError, single_line
from components.extensions.imports import folder_of, imported_files, named_files, packages_of, strings_of
from components.extensions.installed import versions_of
from components.extensions.kinds import ExtensionKind, kind_of
from components.extensions.loading import load
from components.extensions.value import Extension, ExtensionFile

MAX_BYTES = 2**20
"""Maximum bytes of an extension's code and data: they are part of the recipe's JSON and sent to workers with each shard."""

Value = TypeVar("Value")


def gathered(value: Value, folder: Path) -> Value:
    """A copy of a config, or of a value that contains configs, whose extensions have their files, read from `folder`.

    Each extension's class is made once, as a test. Extensions that already have their files are left as they are.

    Raises:
        ConfigError: a file is missing, too large or not valid Python; an import leaves the folder; the class does not exist,
            lacks its method or does not accept its values. The message names file, line and class.
    """
    return _gathered(value, folder, None)


def declared_in(value: Any, where: str = "") -> Iterator[tuple[str, Extension, ExtensionKind]]:
    """Every extension in a config at any depth, with its dotted field and the kind that the field declares."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            inner, name, kind = getattr(value, field.name), f"{where}.{field.name}".lstrip("."), kind_of(field.metadata)
            if kind is None:
                yield from declared_in(inner, name)
            else:
                yield from ((name, each, kind) for each in (inner if isinstance(inner, tuple) else (inner,)) if each is not None)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from declared_in(inner, f"{where}.{key}")
    elif isinstance(value, tuple):
        for number, inner in enumerate(value):
            yield from declared_in(inner, f"{where}.{number}")


def _gathered(value: Any, folder: Path, kind: ExtensionKind | None) -> Any:
    """See `gathered`; `kind` is the kind of extension that the field with this value declares."""
    if isinstance(value, Extension):
        return _whole(value, folder, kind)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field for field in dataclasses.fields(value) if field.init]
        inner = {field.name: _gathered(getattr(value, field.name), folder, kind_of(field.metadata)) for field in fields}
        changed = {name: new for name, new in inner.items() if new is not getattr(value, name)}
        return dataclasses.replace(value, **changed) if changed else value
    if isinstance(value, tuple) and type(value) is tuple:
        items = tuple(_gathered(item, folder, kind) for item in value)
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(value, Mapping):
        mapped = {key: _gathered(item, folder, kind) for key, item in value.items()}
        return mapped if any(mapped[key] is not item for key, item in value.items()) else value
    return value


def _whole(extension: Extension, folder: Path, kind: ExtensionKind | None) -> Extension:
    if extension.files:
        return extension
    whole = dataclasses.replace(extension, files=_files_of(extension, folder))
    if kind is not None:
        load(whole, kind)
    versions_of(whole)
    return whole


def _files_of(extension: Extension, folder: Path) -> tuple[ExtensionFile, ...]:
    """Every file that the extension needs, sorted by path."""
    modules = dict(_modules(extension, folder))
    data = {path for path in _data(extension, folder, modules) if path not in modules}
    files = [ExtensionFile.of(path, content, is_module=True) for path, content in modules.items()]
    files += [ExtensionFile.of(path, (folder / path).read_bytes(), is_module=False) for path in data]
    size = sum(len(file.content) for file in files)
    if size > MAX_BYTES:
        largest = max(files, key=lambda file: len(file.content))
        raise ConfigError(
            f"extension {extension.code}: code and data have {size:,} bytes, {len(largest.content):,} of them in {largest.path}; "
            f"allowed: {MAX_BYTES:,}, because they are stored in the recipe; keep large files elsewhere and pass their URI"
        )
    return tuple(sorted(files, key=lambda file: file.path))


def _modules(extension: Extension, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of the class's module and of all modules of the folder that it imports, directly or indirectly."""
    if not (folder / extension.file).is_file():
        raise ConfigError(f"extension {extension.code}: {folder / extension.file} does not exist")

    def exists(path: str) -> bool:
        return (folder / path).is_file()

    waiting, seen = [*packages_of(extension.file, exists), extension.file], set[str]()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            content = (folder / path).read_bytes()
            tree = _parsed(content, folder / path)
            yield path, content
            waiting += imported_files(tree, path, exists)


def _data(extension: Extension, folder: Path, modules: Mapping[str, bytes]) -> Iterator[str]:
    """Paths of data files: those in `Extension.data`, and those whose names occur in its values or as strings in its modules."""

    def exists(path: str) -> bool:
        return (folder / path).is_file()

    for path in extension.data:
        yield from _listed(extension, folder, path)
    yield from named_files(_strings(extension.values), folder_of(extension.file), exists)
    for path, content in modules.items():
        yield from named_files(strings_of(ast.parse(content)), folder_of(path), exists)


def _listed(extension: Extension, folder: Path, path: str) -> Iterator[str]:
    """The file `path`, or every file below the folder `path` except hidden ones and bytecode."""
    if (folder / path).is_file():
        yield Path(path).as_posix()
    elif (folder / path).is_dir():
        files = (file.relative_to(folder) for file in (folder / path).rglob("*") if file.is_file())
        yield from (file.as_posix() for file in files if not any(p.startswith(".") or p == "__pycache__" for p in file.parts))
    else:
        raise ConfigError(f"extension {extension.code}: {folder / path} does not exist, but Extension.data lists it")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _parsed(content: bytes, path: Path) -> ast.Module:
    try:
        return ast.parse(content)
    except SyntaxError as error:
        raise ConfigError(f"{path}:{error.lineno or 1}: not valid Python: {error.msg}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid Python: {single_line(error)}") from error
