"""Whether this machine and the services can be used: disk, memory, the artifact store and MLflow."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from infra.bucket import object_store_endpoint, require_store, require_writable
from infra.hook import require_hook
from infra.mlflow.tracking import require_server
from infra.urls import HERE
from workflows.preflight.question import Problem, Question, problems_of
from workflows.recipe import Recipe
from workflows.resources import require_disk, require_memory
from workflows.sweeps.sweep import Sweep

SECONDS = 10.0
"""Seconds within which the bucket and MLflow must answer."""


@dataclass(frozen=True, kw_only=True)
class Installed(Question):
    """Are the distributions installed whose text is read?"""

    STAGE: ClassVar[str] = "curation"
    IS_REMEMBERED: ClassVar[bool] = True

    field: str
    """Field that names them."""
    distributions: tuple[str, ...]

    def facts(self) -> dict[str, str]:
        """When something was last installed or removed."""
        from components.python_environment import installation_stamp

        return {"installed": installation_stamp()} if self.distributions else {}

    def problems(self) -> Iterator[Problem]:
        """Look for each."""
        from components.python_environment import require_installed

        for name in self.distributions:
            yield from problems_of(self.field, lambda: require_installed(name))  # noqa: B023


@dataclass(frozen=True, kw_only=True)
class InstructionPackages(Installed):
    """Are the distributions installed from which instructions are made?"""

    STAGE: ClassVar[str] = "sft"


@dataclass(frozen=True, kw_only=True)
class Room(Question):
    """Are disk and memory large enough?"""

    STAGE: ClassVar[str] = "curation"

    config: Recipe | Sweep
    home: Path

    def problems(self) -> Iterator[Problem]:
        """Measure both."""
        yield from problems_of("", lambda: require_disk(self.config, self.home))
        yield from problems_of("", lambda: require_memory(self.config))


@dataclass(frozen=True, kw_only=True)
class Hook(Question):
    """Can the hook be executed that is called when the run ends?"""

    STAGE: ClassVar[str] = "curation"

    def problems(self) -> Iterator[Problem]:
        """Look for its program."""
        yield from problems_of("", require_hook)


@dataclass(frozen=True, kw_only=True)
class Stores(Question):
    """Can artifacts be written, and does MLflow answer?"""

    STAGE: ClassVar[str] = "curation"

    artifact_root: str
    mlflow_uri: str

    def problems(self) -> Iterator[Problem]:
        """Ask each once."""
        root, uri = self.artifact_root, self.mlflow_uri
        if root != HERE:
            yield from problems_of("artifact_root", lambda: _require_bucket(root, object_store_endpoint(root)))
        if uri != HERE:
            yield from problems_of("mlflow_uri", lambda: require_server(uri, SECONDS))


def _require_bucket(root: str, endpoint: str) -> None:
    require_store(root, endpoint, SECONDS)
    require_writable(root, endpoint, SECONDS)
