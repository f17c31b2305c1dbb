"""What a user attaches to a run: tags and a note, and who started it. MLflow and `longrun runs` show them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from components.errors import ConfigError
from workflows.steps.provenance import user

_KEY = re.compile(r"[\w./ -]{1,250}")
"""Characters and length of a tag's key that MLflow accepts."""

_MAX_VALUE = 500
"""Maximum number of characters of a tag's value that every MLflow store accepts."""

_RESERVED = re.compile(r"(mlflow|longrun)\..*|recipe|run|step|model_version|branched_from(_digest)?")
"""Keys of tags that longrun or MLflow sets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What a user attaches to a run."""

    user: str = field(default_factory=user)
    """Login name of who started the run."""
    tags: dict[str, str] = field(default_factory=dict)
    """Values by key."""
    note: str = ""
    """Free text."""

    def facts(self) -> dict[str, str | dict[str, str]]:
        """The labels that are set, by name, for events."""
        return {name: value for name in ("user", "tags", "note") if (value := getattr(self, name))}


def labels_of(tags: Sequence[str], note: str) -> Labels:
    """The labels of a run that this user starts, with tags of the form KEY=VALUE.

    Raises:
        ConfigError: a tag is malformed, too long, given twice, or longrun or MLflow sets it.
    """
    values: dict[str, str] = {}
    for tag in tags:
        key, separator, value = tag.partition("=")
        if not separator or not _KEY.fullmatch(key) or len(value) > _MAX_VALUE:
            raise ConfigError(
                f"--tag {tag!r}: allowed: KEY=VALUE, such as data=v2; KEY consists of letters, digits, '_', '-', '.', '/' and "
                f"spaces, VALUE has at most {_MAX_VALUE} characters"
            )
        if _RESERVED.fullmatch(key):
            raise ConfigError(f"--tag {tag!r}: longrun or MLflow sets the tag {key}; choose another key")
        if key in values:
            raise ConfigError(f"--tag {tag!r}: the tag {key} is already {values[key]!r}; give each key once")
        values[key] = value
    return Labels(tags=values, note=note)
