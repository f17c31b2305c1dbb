"""Which fields of a config decide the result of a step.

Where a folder lies and what is kept beside a result decide nothing: such a field says so, and is left out of the cache key and of
an artifact's content. The record of an artifact has the whole config.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

DECIDES_NOTHING: Mapping[str, bool] = {"decides": False}
"""Metadata of such a field: `uri: str = field(metadata=DECIDES_NOTHING)`. Its step has a fact that stands for it, such as a
fingerprint of the files, or does the same without it."""


def deciding(config: Any) -> Any:
    """A config as JSON values, as `dataclasses.asdict` makes them, without the fields that decide nothing, however deep."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = (field for field in dataclasses.fields(config) if field.metadata.get("decides", True))
        return {field.name: deciding(getattr(config, field.name)) for field in fields}
    if isinstance(config, Mapping):
        return {name: deciding(value) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return [deciding(value) for value in config]
    return config
