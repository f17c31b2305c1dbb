"""Laws as a user names them: published ones, and files that `longrun fit` writes and `longrun plan` reads."""

from pathlib import Path

from components.artifacts import decoded
from components.errors import ConfigError
from components.files import read_json, write_text
from components.locations import fetched_file, in_bucket, path_of, state_of
from components.scaling.laws.law import Law
from components.scaling.laws.published import LAWS


def find_law(name: str) -> Law:
    """The published law of that name, else the one in the file of that path, or URI in a bucket.

    Raises:
        ConfigError: there is neither.
        StoreError: the object store cannot be reached, or refuses.
    """
    if name in LAWS:
        return LAWS[name]
    if not in_bucket(name) and not path_of(name).is_file():
        raise ConfigError(f"no law is called {name!r} and no file lies there; allowed: {', '.join(LAWS)}, or a law file's path")
    with fetched_file(name) as path:
        return read_law(path, name if in_bucket(name) else "")


def law_fingerprint(name: str) -> str:
    """What tells laws apart when a plan may be reused: a published law's name, or the state of a law file.

    Raises:
        ConfigError: neither a published law nor a law file.
    """
    if name in LAWS:
        return name
    find_law(name)
    return state_of(name if in_bucket(name) else str(path_of(name)))


def write_law(law: Law, path: Path) -> None:
    """Write a law file of the user's, whole or not at all."""
    write_text(path, law.to_json())


def read_law(path: Path, name: str = "") -> Law:
    """The law in a user's file. Raises `ConfigError` naming the file, as its path or `name`, and what is wrong in it."""
    remedy = f"write one with: longrun fit … --output {path.name}"
    raw = read_json(path, dict, remedy, what="a law file", damaged=ConfigError, missing=ConfigError)
    try:
        return decoded(Law, raw)
    except ConfigError as error:
        raise ConfigError(f"{name or path}: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{name or path}: not a law file ({error}); {remedy}") from error
