"""Finished runs from a table: what its columns hold, and which rows are excluded, with the reason."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.errors import ConfigError, SourceError
from components.scaling.fitting.robust import Array

COLUMNS = ("n", "d", "c", "loss", "batch", "learning_rate")
"""What a column can hold: model scale, tokens, FLOPs, final loss, batch in tokens, maximum learning rate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exclusion:
    """A row, or a whole budget, that a method does not use."""

    method: str
    """The method: "isoflop", "parametric", "hyper_parameters", or "all"."""
    reason: str
    row: int | None = None
    """Line of the file, the header being line 1; None for a budget."""
    compute: float | None = None
    """FLOPs of the budget; None for a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Runs:
    """The runs of a table, sorted by their values, so that the order of the rows does not matter."""

    values: Mapping[str, Array]
    """An array (R) for each of `COLUMNS` that was given."""
    rows: tuple[int, ...]
    """Line of each run in the file."""
    excluded: tuple[Exclusion, ...]
    """Rows without a run, with the reason."""

    def __len__(self) -> int:
        return len(self.rows)


def parse_columns(text: str) -> dict[str, str]:
    """`n=Model Size,c=FLOPs,loss=loss` as a mapping. Raises `ConfigError` for another form or an unknown name."""
    columns = {}
    for assignment in text.split(","):
        name, equals, column = (word.strip() for word in assignment.partition("="))
        if not (equals and column) or name not in COLUMNS or name in columns:
            raise ConfigError(f"--columns has {assignment!r}; allowed: NAME=COLUMN once for each NAME of {', '.join(COLUMNS)}")
        columns[name] = column
    if "loss" not in columns:
        raise ConfigError(f"--columns is {text!r}; it must name the loss too, such as loss=final_loss")
    return columns


def read_runs(path: Path, columns: Mapping[str, str]) -> Runs:
    """The runs of a CSV file with a header, separated by comma, semicolon or tab.

    Rows with an empty cell and exact repetitions are excluded; every other value must be a positive finite number.

    Raises:
        ConfigError: a column that the file does not have.
        SourceError: a file that cannot be read, or a value that is no positive finite number.
    """
    lines: dict[tuple[float, ...], int] = {}
    excluded = []
    for line, row in _rows(path, columns):
        cells = [row.get(column) or "" for column in columns.values()]
        if not all(cell.strip() for cell in cells):
            empty = [column for column, cell in zip(columns.values(), cells, strict=True) if not cell.strip()]
            excluded.append(Exclusion(method="all", row=line, reason=f"no value for {', '.join(empty)}"))
            continue
        key = tuple(_number(cell, f"{path}, line {line}, {name}") for name, cell in zip(columns.values(), cells, strict=True))
        if key in lines:
            excluded.append(Exclusion(method="all", row=line, reason=f"repeats line {lines[key]}"))
        else:
            lines[key] = line
    ordered = sorted(lines)
    table = np.array(ordered, dtype=np.float64).reshape(-1, len(columns))
    values = {name: table[:, index].copy() for index, name in enumerate(columns)}
    return Runs(values=values, rows=tuple(lines[key] for key in ordered), excluded=tuple(excluded))


def _rows(path: Path, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    header = text.partition("\n")[0]
    reader = csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=header.count))
    reader.fieldnames = _header(reader.fieldnames or [], columns, path)
    for row in reader:
        yield reader.line_num, row


def _header(names: Sequence[str], columns: Mapping[str, str], path: Path) -> list[str]:
    stripped = [name.strip() for name in names]
    missing = [column for column in columns.values() if column not in stripped]
    if missing:
        raise ConfigError(f"{path} has no column {', '.join(missing)}; it has: {', '.join(stripped) or 'none'}")
    return stripped


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise SourceError(f"{where} is {cell.strip()!r}; allowed: a positive finite number, or nothing to leave the row out")
    return value
