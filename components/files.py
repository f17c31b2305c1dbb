"""Small files: JSON read with our own errors, writes that are seen whole or not at all, and hard links where they can be had."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from components.errors import DamagedArtifact, LongrunError, MissingArtifact

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
"""What a JSON document can hold."""

Kind = TypeVar("Kind", dict[str, Any], list[Any])

_JSON: dict[type, str] = {dict: "object", list: "array"}


def read_json(
    path: Path,
    kind: type[Kind],
    remedy: str,
    *,
    what: str = "",
    damaged: type[LongrunError] = DamagedArtifact,
    missing: type[LongrunError] = MissingArtifact,
) -> Kind:
    """The JSON object or array in a file; messages name it `what`, such as "a law file", and end with `remedy`: what to do next.

    Raises:
        LongrunError: `missing` where there is no file; `damaged` where it cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise missing(f"{path}: missing; {remedy}") from error
    except (OSError, ValueError) as error:
        raise damaged(f"{path}: not {what or 'JSON'} ({error}); {remedy}") from error
    if not isinstance(value, kind):
        raise damaged(f"{path}: not {what or f'a JSON {_JSON[kind]}'}; {remedy}")
    return value


def read_json_lines(path: Path, remedy: str, *, what: str = "JSON lines") -> list[dict[str, Any]]:
    """The JSON objects in a file of one a line; messages end with `remedy`: what to do next.

    Raises:
        MissingArtifact: there is no file.
        DamagedArtifact: it cannot be read, or a line holds something else; the message calls the lines `what`.
    """
    try:
        rows = [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
    except FileNotFoundError as error:
        raise MissingArtifact(f"{path}: missing; {remedy}") from error
    except (OSError, ValueError) as error:
        raise DamagedArtifact(f"{path}: not {what} ({error}); {remedy}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise DamagedArtifact(f"{path}: not {what}; {remedy}")
    return rows


@contextlib.contextmanager
def written_beside(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to; it is moved to `path` at the end, so that no reader ever sees a part of it.

    Each process has its own, so that two do not write into one file; an exception removes it. `durable`: wait until its bytes and
    its name are on the disk.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield beside
        if durable:
            flush(beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if durable:
        flush(path.parent)


def write_text(path: Path, text: str, *, durable: bool = False) -> Path:
    """Write a whole UTF-8 file by `written_beside`; its path."""
    with written_beside(path, durable=durable) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path, value: Any, *, durable: bool = False) -> Path:
    """Write a value as JSON, keys in their order, by `written_beside`; its path."""
    return write_text(path, json.dumps(value), durable=durable)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy on another disk or a file system without links."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(source, target)
