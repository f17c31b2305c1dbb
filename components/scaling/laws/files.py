"""Laws as JSON files: what `longrun fit` writes and `longrun plan` reads."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from components.artifacts import sha256_of_file
from components.errors import ConfigError
from components.files import read_json, write_text
from components.scaling.laws.law import Law, LossLaw, PowerLaw
from components.scaling.laws.published import LAWS

LAW = "law.json"
"""Name of the law file in an artifact: of a fitted law, and beside a plan with a prediction."""

_POWERS = ("model", "tokens", "batch_tokens", "learning_rate")


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
    """Write a law file, whole or not at all."""
    write_text(path, json.dumps(dataclasses.asdict(law), indent=1) + "\n")


def read_law(path: Path) -> Law:
    """The law in a file. Raises `ConfigError` naming the file and what is wrong in it."""
    remedy = f"write one with: longrun fit … --output {path.name}"
    raw = read_json(path, dict, remedy, what="a law file", damaged=ConfigError, missing=ConfigError)
    try:
        return _law(raw)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (ValueError, TypeError, LookupError) as error:
        raise ConfigError(f"{path}: not a law file ({error}); {remedy}") from error


def _law(raw: dict[str, Any]) -> Law:
    powers = {name: PowerLaw(**raw[name]) for name in _POWERS if raw.get(name) is not None}
    loss = raw.get("loss")
    draws = tuple(tuple(draw) for draw in loss["draws"]) if loss else ()
    fitted = raw.get("fitted")
    rest = {
        "loss": LossLaw(**loss | {"draws": draws}) if loss else None,
        "fitted": (fitted[0], fitted[1]) if fitted else None,
        "runs": tuple(tuple(run) for run in raw.get("runs", ())),
    }
    return Law(**raw | powers | rest)
