"""Whether benchmarks can be read."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from components.curation.reading.config import Benchmark
from workflows.preflight.question import Problem, Question, problems_of

if TYPE_CHECKING:
    from components.curation.reading.benchmarks import Item


@dataclass(frozen=True, kw_only=True)
class BenchmarkFiles(Question):
    """Can curation read the items of the benchmarks?"""

    STAGE: ClassVar[str] = "curation"
    IS_REMEMBERED: ClassVar[bool] = True

    benchmarks: tuple[Benchmark, ...]

    def problems(self) -> Iterator[Problem]:
        """Read every item."""
        for benchmark in self.benchmarks:
            yield from problems_of(f"curation.filtering.benchmarks.{benchmark.name}", lambda: _items(benchmark))  # noqa: B023


def _items(benchmark: Benchmark) -> list["Item"]:
    from components.curation.reading.benchmarks import items_of

    with tempfile.TemporaryDirectory() as scratch:
        return list(items_of(benchmark, Path(scratch)))
