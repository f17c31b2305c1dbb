"""Whether benchmarks can be read, and whether enough of their items have the form that evaluation's tasks name."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from components.artifacts import OmissionTally
from components.curation.reading.config import Benchmark
from components.errors import LongrunError
from components.evaluation.config import EvaluationConfig
from workflows.preflight.omissions import omission_problems
from workflows.preflight.question import Problem, Question

if TYPE_CHECKING:
    from components.curation.reading.benchmarks import Item


@dataclass(frozen=True, kw_only=True)
class BenchmarkFiles(Question):
    """Can curation read the items of the benchmarks?"""

    STAGE: ClassVar[str] = "curation"
    IS_REMEMBERED: ClassVar[bool] = True

    benchmarks: tuple[Benchmark, ...]
    max_omitted_share: float
    """`checks.corpus.max_omitted_share`."""

    def problems(self) -> Iterator[Problem]:
        """Read every item."""
        for benchmark in self.benchmarks:
            field, tally = f"curation.filtering.benchmarks.{benchmark.name}", OmissionTally()
            try:
                _items(benchmark, tally)
            except LongrunError as error:
                yield Problem(field, error)
            else:
                yield from omission_problems(field, tally, self.max_omitted_share, "checks.corpus.max_omitted_share")


@dataclass(frozen=True, kw_only=True)
class BenchmarkItems(Question):
    """Do the items of the benchmarks have the fields and answers that evaluation's tasks name?"""

    STAGE: ClassVar[str] = "evaluation"
    IS_REMEMBERED: ClassVar[bool] = True

    benchmarks: tuple[Benchmark, ...]
    evaluation: EvaluationConfig
    max_omitted_share: float
    """`checks.evaluation.max_omitted_share`."""

    def problems(self) -> Iterator[Problem]:
        """Make an item of a task of every item, as evaluation does."""
        if not self.evaluation.benchmarks:
            return
        from components.evaluation.benchmarks import UNIT, usable_row

        by_name = {benchmark.name: benchmark for benchmark in self.benchmarks}
        for task in self.evaluation.benchmarks:
            tally = OmissionTally()
            try:
                items = _items(by_name[task.name], OmissionTally()) if task.name in by_name else []
            except LongrunError:
                continue  # a problem of `BenchmarkFiles`
            for item in items:
                tally.add(task.name, UNIT)
                usable_row(task, {"file": item.file, "item": item.number, "record": item.record}, tally)
            field, setting = f"evaluation.benchmarks.{task.name}", "checks.evaluation.max_omitted_share"
            yield from omission_problems(field, tally, self.max_omitted_share, setting)


def _items(benchmark: Benchmark, tally: OmissionTally) -> list["Item"]:
    from components.curation.reading.benchmarks import items_of

    with tempfile.TemporaryDirectory() as scratch:
        return list(items_of(benchmark, Path(scratch), tally))
