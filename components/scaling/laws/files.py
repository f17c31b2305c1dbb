"""Laws as JSON files: what `longrun fit` writes and `longrun plan` reads."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from components.artifacts import sha256_of_file
from components.errors import ConfigError
from components.scaling.laws.law import Law, LossLaw, PowerLaw
from components.scaling.laws.published import LAWS

_POWERS = ("model", "tokens", "batch_tokens", "learning_rate")


def find_law(name: str) -> Law:
    """A published law by its name, else the law file at that path. Raises `ConfigError` where neither is a sound law."""
    if name in LAWS:
        return LAWS[name]
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"no law is called {name!r} and no file lies there; allowed: {', '.join(LAWS)}, or a law file's path")
    return read_law(path)


def law_fingerprint(name: str) -> str:
    """What decides reuse besides the law's name: the digest of a law file. Raises `ConfigError` where there is none."""
    if name in LAWS:
        return name
    find_law(name)
    return sha256_of_file(Path(name))


def write_law(law: Law, path: Path) -> None:
    """Write a law beside `path` and move it in."""
    beside = path.with_name(f".{path.name}.writing")
    beside.write_text(json.dumps(dataclasses.asdict(law), indent=1) + "\n", encoding="utf-8")
    beside.replace(path)


def read_law(path: Path) -> Law:
    """The law in a file. Raises `ConfigError` naming the file and what is wrong in it."""
    try:
        return _law(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (ValueError, TypeError, LookupError) as error:
        raise ConfigError(f"{path}: not a law file ({error}); write one with: longrun fit … --output {path.name}") from error


def _law(raw: Any) -> Law:
    if not isinstance(raw, dict):
        raise TypeError("not one object")
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
