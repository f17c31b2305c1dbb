"""A recipe's own filters, readers, tasks and checks: stores their code in the config and imports it in any process.

Loading a recipe reads the code; after that the recipe's folder is not needed. See README.md of this package.
"""

from components.extensions.gathering import declared_in, gathered
from components.extensions.installed import imported_from_outside, versions_of
from components.extensions.kinds import CHECK, FILTER, READER, TASK, ExtensionKind, kind
from components.extensions.loading import failure, load, unpack_below
from components.extensions.value import Extension, ExtensionFile, extensions_in, recorded

__all__ = [
    "CHECK",
    "FILTER",
    "READER",
    "TASK",
    "Extension",
    "ExtensionFile",
    "ExtensionKind",
    "declared_in",
    "extensions_in",
    "failure",
    "gathered",
    "imported_from_outside",
    "kind",
    "load",
    "recorded",
    "unpack_below",
    "versions_of",
]
