"""What a recipe can bring: four kinds, each a class with one method."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KEY = "extension"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionKind:
    """One of the four, by what its class must have."""

    word: str
    """How messages call it."""
    method: str
    parameters: tuple[str, ...] = ()
    """Names that stand for the arguments of the method."""
    promise: str
    """What the method does, for messages."""

    @property
    def form(self) -> str:
        """What a class of this kind looks like, in words."""
        return f"a class with a method {self.method}({', '.join(('self', *self.parameters))}) that {self.promise}"


FILTER = ExtensionKind(
    word="filter",
    method="refusal",
    parameters=("document",),
    promise="returns the reason to refuse a document, or None",
)
READER = ExtensionKind(
    word="reader",
    method="read",
    parameters=("path",),
    promise="yields the text of each document of a file, or None for one that has none",
)
TASK = ExtensionKind(
    word="task",
    method="items",
    promise="yields items with context, choices and gold, or with context and gold",
)
CHECK = ExtensionKind(
    word="check",
    method="tables",
    parameters=("artifact",),
    promise="returns tables with what is expected of them (components.checks.suite.Table)",
)


def kind(of: ExtensionKind) -> dict[str, Any]:
    """The metadata of a config's field that holds extensions of one kind."""
    return {_KEY: of}


def kind_of(metadata: Mapping[str, Any]) -> ExtensionKind | None:
    """What `kind` put there; None for a field without."""
    declared: ExtensionKind | None = metadata.get(_KEY)
    return declared
