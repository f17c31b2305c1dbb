"""Reads JSON files with readable errors, writes files atomically, and makes hard links if the file system supports them."""

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
    """Read the JSON object or array in a file.

    `what` describes the file in error messages, such as "a law file"; `remedy` ends them and says what to do next.

    Raises:
        LongrunError: of class `missing` if there is no file; of class `damaged` if it cannot be read or is not of that kind.
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
    """Read a file with one JSON object per line.

    `what` describes the lines in error messages; `remedy` ends them and says what to do next.

    Raises:
        MissingArtifact: there is no file.
        DamagedArtifact: the file cannot be read, or a line is not a JSON object.
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
    """Write a file atomically: yields a temporary path in the same directory, and renames it to `path` at the end.

    Readers see the old file or the whole new one. The temporary name contains the process id, so two processes do not write to
    the same file. If the block raises, the temporary file is deleted. `durable`: wait until content and name are on disk.
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
    """Write a UTF-8 file atomically and return its path. `durable`: see `written_beside`."""
    with written_beside(path, durable=durable) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path, value: Any, *, durable: bool = False) -> Path:
    """Write a value as JSON, without sorting its keys, atomically, and return the path. `durable`: see `written_beside`."""
    return write_text(path, json.dumps(value), durable=durable)


def flush(path: Path) -> None:
    """Wait until the content of a file, or the entries of a directory, are on disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy if it is on another disk or the file system has no hard links.

    Raises `FileExistsError` if `target` exists.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(source, target)
