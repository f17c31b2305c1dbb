"""Whether a recipe's own filters, readers, tasks and checks can be imported, and what its tasks ask."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from components.evaluation.config import EvaluationConfig
from components.extensions import declared_in, load
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

    def problems(self) -> Iterator[Problem]:
        """Make the items of each task."""
        if not self.config.tasks:
            return
        from components.evaluation.own_tasks import build

        maximum = self.config.max_items_per_task
        for number, task in enumerate(self.config.tasks):
            yield from problems_of(f"evaluation.tasks.{number}", lambda: build((task,), maximum))  # noqa: B023
