"""The series of a training run: its figures by step, in a file that grows by one JSON line per step while it trains.

runs/RUN/series/STEP.jsonl      {"step": 1, "loss": 6.9, "learning_rate": 0.001, "gradient_norm": 2.1, "tokens": 4096, …}

A step is in the file once, also after a worker was lost and its last steps were repeated. Standard library only, so that a
program that only looks at runs starts fast.
"""

import json
import logging
import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

logger = logging.getLogger(__name__)

STEP = "step"

MISSING = math.nan


@dataclass(frozen=True, slots=True)
class Series:
    """The figures of a training run by step."""

    steps: "array[int]"
    """Numbers of the steps, rising, int64."""
    columns: "Mapping[str, array[float]]"
    """One value per step of each figure, float64; NaN where a step does not have it."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a series, also while it is being written; without a file it has no steps."""
        return cls.parse(path.read_bytes() if path.is_file() else b"")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The series in the bytes of a file. A truncated last line is dropped. Of a repeated step, the later line counts."""
        columns: dict[str, array[float]] = {}
        series = cls(array("q"), columns)
        for row in _rows(data):
            step = int(row.pop(STEP))
            if series.steps and series.steps[-1] >= step:
                _forget(series, step)
            for name, value in row.items():
                column = columns.setdefault(name, array("d"))
                column.extend([MISSING] * (len(series.steps) - len(column)))
                column.append(value)
            series.steps.append(step)
        for column in columns.values():
            column.extend([MISSING] * (len(series.steps) - len(column)))
        return series

    def points(self, name: str) -> list[tuple[int, float]]:
        """(step, value) of one figure at the steps that have it; empty for an unknown figure."""
        values = self.columns.get(name, array("d"))
        return [(step, value) for step, value in zip(self.steps, values, strict=False) if not math.isnan(value)]

    def last(self, name: str) -> float | None:
        """The newest value of one figure; None if no step has it."""
        return next((value for value in reversed(self.columns.get(name, array("d"))) if not math.isnan(value)), None)

    def family(self, name: str) -> list[str]:
        """Names of the figures `name` and `name/KIND`, in order."""
        return sorted(column for column in self.columns if column == name or column.startswith(f"{name}/"))


def _forget(series: Series, step: int) -> None:
    """Remove that step and all later ones."""
    count = bisect_left(series.steps, step)
    del series.steps[count:]
    for column in series.columns.values():
        del column[count:]


def _rows(data: bytes) -> Iterator[dict[str, float]]:
    """The rows in whole lines; damaged lines are skipped with one warning."""
    whole = data[: data.rfind(b"\n") + 1]
    damaged: list[object] = []
    for row in _parsed(whole):
        if isinstance(row, dict) and isinstance(row.get(STEP), int) and all(type(v) in (int, float) for v in row.values()):
            yield row
        else:
            damaged.append(row)
    if damaged:
        logger.warning("skipped %d damaged lines of a series, the first of which is %.80r", len(damaged), damaged[0])


def _parsed(whole: bytes) -> Iterator[object]:
    try:
        # All lines at once take a third of the time
        yield from json.loads(b"[" + whole.rstrip().replace(b"\n", b",") + b"]")
    except ValueError:
        for line in whole.splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                yield line


def downsampled(points: list[tuple[int, float]], buckets: int) -> list[tuple[int, float]]:
    """At most `2 * buckets` of the points: the lowest and the highest of each bucket of equally many steps.

    A line through them looks like a line through all points, if each bucket is one pixel wide: no extreme is dropped.
    """
    if len(points) <= 2 * buckets:
        return points
    first, last = points[0][0], points[-1][0]
    width = (last - first + 1) / buckets
    chosen: list[tuple[int, float]] = []
    start = 0
    for number in range(1, buckets + 1):
        stop = bisect_left(points, (first + math.ceil(number * width), -math.inf), lo=start)
        if bucket := points[start:stop]:
            chosen += sorted({min(bucket, key=_value), max(bucket, key=_value)})
        start = stop
    return chosen


def _value(point: tuple[int, float]) -> float:
    return point[1]


@dataclass
class SeriesWriter:
    """Appends rows to the file of a series. Each line is written at once, so a killed process leaves all of them.

    After a loss of workers, training reports the steps up to its checkpoint again and repeats those after it. Rows that are
    equal to what the file has are ignored. At the first row that differs, the file is truncated to the steps before it.
    """

    path: Path
    _steps: "array[int] | None" = field(default=None, init=False)
    """Steps in the file; None: it has not been opened yet."""
    _starts: "array[int]" = field(default_factory=lambda: array("q"), init=False)
    """Offset of each step's line in bytes."""
    _size: int = field(default=0, init=False)

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self._size

    def append(self, step: int, values: Mapping[str, float]) -> dict[str, float]:
        """Add figures of a step, without those that are not finite; returns the figures that the file did not have.

        Raises `OSError` if the file cannot be written.
        """
        row = {name: float(value) for name, value in values.items() if name != STEP and math.isfinite(value)}
        steps = self._indexed()
        number = bisect_left(steps, step)
        if number == len(steps):
            self._write(step, row)
            return row
        known = self._row(number) if steps[number] == step else {}
        new = {name: value for name, value in row.items() if known.get(name) != value}
        if new:
            self._size = self._starts[number]
            del steps[number:], self._starts[number:]
            self._write(step, known | row)
        return new

    def _indexed(self) -> "array[int]":
        """The steps in the file, up to the first line that is truncated or damaged; creates the file."""
        if self._steps is not None:
            return self._steps
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self._steps = array("q")
        for line in self.path.read_bytes().splitlines(keepends=True):
            row = next(_rows(line), None)
            if row is None or (self._steps and row[STEP] <= self._steps[-1]):
                break
            self._steps.append(int(row[STEP]))
            self._starts.append(self._size)
            self._size += len(line)
        return self._steps

    def _row(self, number: int) -> dict[str, float]:
        stop = self._starts[number + 1] if number + 1 < len(self._starts) else self._size
        with self.path.open("rb") as stream:
            stream.seek(self._starts[number])
            row = next(_rows(stream.read(stop - self._starts[number])), {})
        return {name: value for name, value in row.items() if name != STEP}

    def _write(self, step: int, row: Mapping[str, float]) -> None:
        line = json.dumps({STEP: step, **row}).encode() + b"\n"
        with self.path.open("r+b", buffering=0) as stream:
            stream.truncate(self._size)
            stream.seek(self._size)
            stream.write(line)
        self._indexed().append(step)
        self._starts.append(self._size)
        self._size += len(line)
