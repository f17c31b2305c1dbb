"""Laws as a user names them: published ones, and files that `longrun fit` writes and `longrun plan` reads."""

from pathlib import Path

from components.artifacts import decoded, sha256_of_file
from components.errors import ConfigError
from components.files import read_json, write_text
from components.scaling.laws.law import Law
from components.scaling.laws.published import LAWS


def find_law(name: str) -> Law:
    """The published law of that name, else the one in the file of that path. Raises `ConfigError` if there is neither."""
    if name in LAWS:
        return LAWS[name]
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"no law is called {name!r} and no file lies there; allowed: {', '.join(LAWS)}, or a law file's path")
    return read_law(path)


def law_fingerprint(name: str) -> str:
    """What tells laws apart when a plan may be reused: a published law's name, or a law file's digest.

    Raises:
        ConfigError: neither a published law nor a law file.
    """
    if name in LAWS:
        return name
    find_law(name)
    return sha256_of_file(Path(name))


def write_law(law: Law, path: Path) -> None:
    """Write a law file of the user's, whole or not at all."""
    write_text(path, law.to_json())


def read_law(path: Path) -> Law:
    """The law in a user's file. Raises `ConfigError` naming the file and what is wrong in it."""
    remedy = f"write one with: longrun fit … --output {path.name}"
    raw = read_json(path, dict, remedy, what="a law file", damaged=ConfigError, missing=ConfigError)
    try:
        return decoded(Law, raw)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not a law file ({error}); {remedy}") from error
