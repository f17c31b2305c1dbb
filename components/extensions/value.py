"""The config value `Extension`: a class of the recipe's own, its arguments, and the files it needs."""

import base64
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from components.decides import DECIDES_NOTHING
from components.errors import ConfigError, require


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionFile:
    """A file that is stored with an extension."""

    path: str
    """Path relative to the recipe's folder, with slashes."""
    text: str
    """Content of the file: as it is if it is valid UTF-8, otherwise base64."""
    is_text: bool = True
    """Whether `text` is the content itself; otherwise it is base64."""
    is_module: bool = False
    """Whether the file is a Python module: the cache key has its syntax tree without comments; of other files, all bytes."""

    @classmethod
    def of(cls, path: str, content: bytes, *, is_module: bool) -> "ExtensionFile":
        """Make the value for a file with that path and content."""
        try:
            return cls(path=path, text=content.decode(), is_module=is_module)
        except UnicodeDecodeError:
            return cls(path=path, text=base64.b64encode(content).decode(), is_text=False, is_module=is_module)

    @property
    def content(self) -> bytes:
        """The content of the file, as bytes."""
        return self.text.encode() if self.is_text else base64.b64decode(self.text)

    @property
    def digest(self) -> str:
        """sha256 of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Extension:
    """A class defined by the recipe: `Extension(code="filters.py:NoAds", values={"max_share": 0.2})`."""

    code: str
    """`FILE.py:CLASS`; the file is relative to the recipe's folder and must be in it or in a folder below it."""
    values: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the class, as JSON values. Part of the cache key."""
    data: tuple[str, ...] = ()
    """Files and folders in the recipe's folder that the code reads. A file whose name occurs in `values`, or as a string in the
    code, need not be listed."""
    name: str = ""
    """Name in reports; empty: derived from the class, such as `no-ads` for `NoAds`."""
    files: tuple[ExtensionFile, ...] = field(default=(), metadata=DECIDES_NOTHING)
    """The code, every module that it imports from the recipe's folder, and its data files, sorted by path. Filled in by
    `gathered` when the recipe is loaded. The cache key has the syntax trees of modules instead of their bytes."""

    def __post_init__(self) -> None:
        allowed = "FILE.py:CLASS, a file in the recipe's folder by its relative path, without other dots in its names"
        require(bool(re.fullmatch(r"[^:]+\.py:[^\W\d]\w*", self.code)) and _inside(self.file), self, "code", self.code, allowed)
        for path in self.data:
            require(is_inside(path), self, "data", path, "relative paths of files and folders in the recipe's folder")
        object.__setattr__(self, "values", _plain(self, self.values))

    @property
    def file(self) -> str:
        """The file of the class, relative to the recipe's folder."""
        return self.code.partition(":")[0]

    @property
    def class_name(self) -> str:
        """The name of the class."""
        return self.code.partition(":")[2]

    @property
    def label(self) -> str:
        """Name in reports."""
        return self.name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", self.class_name).lower()

    @property
    def digest(self) -> str:
        """sha256 over the paths and contents of its files, in hex."""
        return hashlib.sha256("".join(f"{file.path}\0{file.digest}\n" for file in self.files).encode()).hexdigest()


def extensions_in(value: Any) -> Iterator[Extension]:
    """Every extension in a config at any depth, in the order of the fields."""
    if isinstance(value, Extension):
        yield value
    elif dataclasses.is_dataclass(value):
        for name in value.__dataclass_fields__:
            yield from extensions_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from extensions_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from extensions_in(inner)


def recorded(config: Any) -> Any:
    """The config as JSON values, like `dataclasses.asdict`, but with the sha256 of each extension file instead of its content."""
    if isinstance(config, ExtensionFile):
        return {"path": config.path, "sha256": config.digest}
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {field.name: recorded(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {name: recorded(value) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return [recorded(value) for value in config]
    return config


def is_inside(path: str) -> bool:
    """Whether a path with slashes is relative and does not leave the folder that it is relative to."""
    names = PurePosixPath(path).parts
    return bool(names) and not path.startswith(("/", "~")) and ".." not in names and "\\" not in path and "\0" not in path


def _inside(file: str) -> bool:
    """Whether a Python file is inside the recipe's folder and all names in its path can be module names."""
    return is_inside(file) and not any("." in name for name in PurePosixPath(file.removesuffix(".py")).parts)


def _plain(owner: Extension, values: Any) -> dict[str, Any]:
    """The values after a round trip through JSON, so that they are the same in every process."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"Extension.values of {owner.code} is {values!r}; allowed: numbers, strings, true, false, null, lists and "
            f"mappings of these ({error})"
        ) from error
    require(isinstance(plain, dict), owner, "values", values, "keyword arguments by name")
    return plain
