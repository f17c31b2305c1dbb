"""`longrun profile`: create, change and list profiles."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_type_hints

from components.errors import ConfigError
from infra.cluster.profiles import Profile, make_profile, profile_names, profile_path, read_profile, write_profile
from infra.settings import Settings, usable_home


def create(settings: Settings, name: str, sources: Sequence[Path], values: Sequence[str], *, replace: bool) -> Path:
    """Write a profile made from TOML files and `KEY=VALUE` assignments, of which later ones override earlier ones; its path.

    Raises `ConfigError` for a wrong file, key or value, and for an existing profile unless `replace` is set.
    """
    raw: dict[str, Any] = {}
    for source in sources:
        raw |= _table(source)
    for assignment in values:
        _assign(raw, assignment)
    profile = make_profile(raw, f"profile {name}")
    return write_profile(usable_home(settings.home), name, profile, replace=replace)


def change(settings: Settings, name: str, values: Sequence[str]) -> Path:
    """Change single values of a profile; its path. Raises `ConfigError` for a wrong key, a wrong value or a missing profile."""
    read_profile(settings.home, name)
    return create(settings, name, [profile_path(settings.home, name)], values, replace=True)


def rows(settings: Settings) -> list[dict[str, str]]:
    """Name, endpoint, project and domain of every profile of the home."""
    profiles = {name: read_profile(settings.home, name) for name in profile_names(settings.home)}
    return [
        {"profile": name, "endpoint": profile.endpoint, "project": profile.project, "domain": profile.domain}
        for name, profile in profiles.items()
    ]


def _table(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--from {source}: {error}") from error


def _assign(raw: dict[str, Any], assignment: str) -> None:
    """Apply `key=value`, `table.key=value` or `sizes.pod.key=value`; numbers and arrays are written as in TOML.

    No message repeats the value, which may be a secret.
    """
    path, separator, text = assignment.partition("=")
    *tables, key = path.split(".", 2 if path.startswith("sizes.") else 1)
    if not separator or not path:
        raise ConfigError("--set: not of the form KEY=VALUE or TABLE.KEY=VALUE, such as secrets.TOKEN=kubernetes:mlflow/token")
    inner = raw
    for table in tables:
        inner = inner.setdefault(table, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {path}: {table} is a single value; allowed: --set {table}=VALUE")
    inner[key] = _value(path, text) if text.startswith("[") or get_type_hints(Profile).get(path) is int else text


def _value(path: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f'--set {path}: not a number or an array; write numbers as 8 and arrays as ["H100", "H200"]') from error
