"""Laws as a user names them: published ones, and files that `longrun fit` and `longrun sweep` write and `longrun plan` reads."""

from pathlib import Path
from typing import TypeVar

from components.artifacts import JsonFile, decoded
from components.errors import ConfigError
from components.files import read_json, write_text
from components.locations import fetched_file, in_bucket, path_of, state_of
from components.scaling.laws.law import Law
from components.scaling.laws.published import LAWS
from components.scaling.laws.text_law import TextLaw

Value = TypeVar("Value", bound=JsonFile)

_FIT = "write one with: longrun fit RUNS.csv --columns … --output law.json"
_SWEEP = "write one with: longrun sweep NAME, of a sweep with vocabularies"


def find_law(name: str) -> Law:
    """The published law of that name, else the one in the file of that path, or URI in a bucket.

    Raises:
        ConfigError: there is neither, or the file holds the law of a text.
        StoreError: the object store cannot be reached, or refuses.
    """
    if name in LAWS:
        return LAWS[name]
    if not in_bucket(name) and not path_of(name).is_file():
        raise ConfigError(f"no law is called {name!r} and no file lies there; allowed: {', '.join(LAWS)}, or a law file's path")
    with fetched_file(name) as path:
        return read_law(path, name if in_bucket(name) else "")


def find_text_law(name: str) -> TextLaw:
    """The law of a text in the file of that path, or URI in a bucket.

    Raises:
        ConfigError: there is no such file, or it holds something else.
        StoreError: the object store cannot be reached, or refuses.
    """
    if name in LAWS:
        raise ConfigError(f"the law {name} is of no text in particular; allowed: the file of a text's law. {_SWEEP}")
    if not in_bucket(name) and not path_of(name).is_file():
        raise ConfigError(f"{name}: missing; {_SWEEP}")
    with fetched_file(name) as path:
        return _decoded(TextLaw, _object(path, _SWEEP), name, _SWEEP)


def find_any_law(name: str) -> Law | TextLaw:
    """The law of that name or in that file, of whichever kind. Raises as `find_law` does for neither."""
    if name in LAWS or not (in_bucket(name) or path_of(name).is_file()):
        return find_law(name)
    with fetched_file(name) as path:
        of_a_text = "vocabularies" in _object(path, _FIT)
    return find_text_law(name) if of_a_text else find_law(name)


def law_fingerprint(name: str) -> str:
    """What tells laws apart when a plan may be reused: a published law's name, or the state of a law file.

    Raises:
        ConfigError: neither a published law nor a law file.
    """
    if name in LAWS:
        return name
    find_law(name)
    return state_of(name if in_bucket(name) else str(path_of(name)))


def write_law(law: Law | TextLaw, path: Path) -> None:
    """Write a law file of the user's, whole or not at all."""
    write_text(path, law.to_json())


def read_law(path: Path, name: str = "") -> Law:
    """The law in a user's file. Raises `ConfigError` naming the file, as its path or `name`, and what is wrong in it."""
    raw = _object(path, _FIT)
    if "vocabularies" in raw:
        raise ConfigError(
            f"{name or path}: the law of a text, with a law for each vocabulary; plan by it: longrun plan --minutes M --law FILE"
        )
    return _decoded(Law, raw, name or str(path), _FIT)


def _object(path: Path, remedy: str) -> dict[str, object]:
    return read_json(path, dict, remedy, what="a law file", damaged=ConfigError, missing=ConfigError)


def _decoded(kind: type[Value], raw: dict[str, object], name: str, remedy: str) -> Value:
    try:
        return decoded(kind, raw)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{name}: not a law file ({error}); {remedy}") from error
