"""Marks config fields that do not affect the result of a step.

Examples: the path of a folder; which extra files are kept with a result. Marked fields are left out of the cache key and of an
artifact's content digest. The record of an artifact still has the whole config.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

DECIDES_NOTHING: Mapping[str, bool] = {"decides": False}
"""Metadata for a field that does not affect the result: `uri: str = field(metadata=DECIDES_NOTHING)`. If the files that it names
do affect the result, the step adds their fingerprint to the cache key instead."""


def deciding(config: Any) -> Any:
    """The config as JSON values, like `dataclasses.asdict`, but without fields marked `DECIDES_NOTHING` at any depth."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = (field for field in dataclasses.fields(config) if field.metadata.get("decides", True))
        return {field.name: deciding(getattr(config, field.name)) for field in fields}
    if isinstance(config, Mapping):
        return {name: deciding(value) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return [deciding(value) for value in config]
    return config
