"""The four kinds of extension: filter, reader, task and check. Each is a class with one method."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KEY = "extension"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionKind:
    """One kind of extension: the method that its class must have."""

    word: str
    """Name of the kind in messages."""
    method: str
    """Name of the method."""
    parameters: tuple[str, ...] = ()
    """Names of the method's parameters, without `self`."""
    promise: str
    """What the method returns or yields, for messages."""

    @property
    def form(self) -> str:
        """Description of a class of this kind, for messages."""
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
    promise="yields the text of each document of a file, or None for a document without text",
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
    promise="returns tables with their expectations (components.checks.suite.Table)",
)


def kind(of: ExtensionKind) -> dict[str, Any]:
    """Metadata for a config field that holds extensions of one kind."""
    return {_KEY: of}


def kind_of(metadata: Mapping[str, Any]) -> ExtensionKind | None:
    """The kind that a field's metadata declares; None if it declares none."""
    declared: ExtensionKind | None = metadata.get(_KEY)
    return declared
