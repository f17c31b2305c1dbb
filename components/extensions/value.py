"""An extension as a value: the class it names, what that class is made with, and the files that it needs."""

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
    """A file that travels with an extension."""

    path: str
    """Below the folder of the recipe, with slashes."""
    text: str
    """What it holds: UTF-8 as it is, other bytes in base64."""
    is_text: bool = True
    """Whether `text` is what the file holds."""
    is_module: bool = False
    """Whether it is imported, and so counts by its meaning; other files count byte by byte."""

    @classmethod
    def of(cls, path: str, content: bytes, *, is_module: bool) -> "ExtensionFile":
        """The file of that content."""
        try:
            return cls(path=path, text=content.decode(), is_module=is_module)
        except UnicodeDecodeError:
            return cls(path=path, text=base64.b64encode(content).decode(), is_text=False, is_module=is_module)

    @property
    def content(self) -> bytes:
        """Its bytes."""
        return self.text.encode() if self.is_text else base64.b64decode(self.text)

    @property
    def digest(self) -> str:
        """sha256 of its bytes, in hex."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Extension:
    """A class of the recipe's own: `Extension(code="filters.py:NoAds", values={"max_share": 0.2})`."""

    code: str
    """`FILE.py:CLASS`, relative to the folder of the recipe; it must lie in that folder, or below."""
    values: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the class: what JSON can say. They decide reuse."""
    data: tuple[str, ...] = ()
    """Files and folders below the recipe's folder that the code reads. Those that `values`, or strings in the code, name as they
    are called are taken without being listed here."""
    name: str = ""
    """How reports call it; empty: the class, as in `no-ads`."""
    files: tuple[ExtensionFile, ...] = field(default=(), metadata=DECIDES_NOTHING)
    """The code with every module that it imports from the recipe's folder, and its data, sorted: `gathered` fills it in. It
    decides by its meaning, which the cache key has, not by its bytes."""

    def __post_init__(self) -> None:
        allowed = "FILE.py:CLASS, relative to the folder of the recipe and inside it, without other dots in its names"
        require(bool(re.fullmatch(r"[^:]+\.py:[^\W\d]\w*", self.code)) and _inside(self.file), self, "code", self.code, allowed)
        for path in self.data:
            require(is_inside(path), self, "data", path, "files and folders inside the folder of the recipe")
        object.__setattr__(self, "values", _plain(self, self.values))

    @property
    def file(self) -> str:
        """The file of the class, below the folder of the recipe."""
        return self.code.partition(":")[0]

    @property
    def class_name(self) -> str:
        """The name of the class."""
        return self.code.partition(":")[2]

    @property
    def label(self) -> str:
        """How reports call it."""
        return self.name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", self.class_name).lower()

    @property
    def digest(self) -> str:
        """sha256 over the names and bytes of its files, in hex."""
        return hashlib.sha256("".join(f"{file.path}\0{file.digest}\n" for file in self.files).encode()).hexdigest()


def extensions_in(value: Any) -> Iterator[Extension]:
    """Every extension in a config, in the order of its fields."""
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
    """A config as JSON values, as `dataclasses.asdict` makes them, with the sha256 of each extension's files in place of them."""
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
    """Whether a path with slashes is relative and stays below where it starts."""
    names = PurePosixPath(path).parts
    return bool(names) and not path.startswith(("/", "~")) and ".." not in names and "\\" not in path and "\0" not in path


def _inside(file: str) -> bool:
    """Whether a file of code lies inside, and its names can be those of modules."""
    return is_inside(file) and not any("." in name for name in PurePosixPath(file.removesuffix(".py")).parts)


def _plain(owner: Extension, values: Any) -> dict[str, Any]:
    """The values as JSON would bring them back, so that they are the same wherever they arrive."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"Extension.values of {owner.code} is {values!r}; allowed: numbers, strings, true, false, null, lists and "
            f"mappings of these ({error})"
        ) from error
    require(isinstance(plain, dict), owner, "values", values, "keyword arguments by name")
    return plain
