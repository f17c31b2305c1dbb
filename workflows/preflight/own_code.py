"""Whether a recipe's own filters, readers, tasks and checks can be imported, and what its tasks ask."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from components.artifacts import OmissionTally
from components.evaluation.config import EvaluationConfig
from components.extensions import declared_in, load
from workflows.preflight.omissions import omission_problems
from workflows.preflight.question import Problem, Question, problems_of
from workflows.recipe import Recipe
from workflows.sweeps.sweep import Sweep


@dataclass(frozen=True, kw_only=True)
class OwnClasses(Question):
    """Can every class of the recipe's own be imported and made?"""

    STAGE: ClassVar[str] = "curation"

    config: Recipe | Sweep

    def problems(self) -> Iterator[Problem]:
        """Load each, in this process, as workers do."""
        for field, extension, kind in declared_in(self.config):
            yield from problems_of(field, lambda: load(extension, kind))  # noqa: B023


@dataclass(frozen=True, kw_only=True)
class OwnTasks(Question):
    """Do the recipe's own tasks have valid items?"""

    STAGE: ClassVar[str] = "evaluation"
    IS_REMEMBERED: ClassVar[bool] = True

    config: EvaluationConfig
    max_omitted_share: float
    """`checks.evaluation.max_omitted_share`."""

    def problems(self) -> Iterator[Problem]:
        """Make the items of each task."""
        if not self.config.tasks:
            return
        from components.evaluation.own_tasks import build

        maximum, setting = self.config.max_items_per_task, "checks.evaluation.max_omitted_share"
        for number, task in enumerate(self.config.tasks):
            field, tally = f"evaluation.tasks.{number}", OmissionTally()
            problems = list(problems_of(field, lambda: build((task,), maximum, tally)))  # noqa: B023
            yield from problems or omission_problems(field, tally, self.max_omitted_share, setting)
