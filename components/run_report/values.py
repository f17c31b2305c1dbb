"""What the report of a run shows, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.artifacts import CheckReport, Findings
from components.series import Series


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkedStep:
    """A step with a loss spike, or with a loss or gradient that is not finite."""

    step: int
    reason: str
    documents: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(Domain, ids of the documents) of each sequence in the batch; empty if the documents were not recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingCurves:
    """One training of the run."""

    step: str
    """`pretraining`, `sft` or `dpo`."""
    title: str
    state: str
    """State of the step: `made`, `cached`, `running` or `failed`."""
    series: Series
    incidents: tuple[MarkedStep, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenTokens:
    """How many training tokens of one source, domain and language pretraining has seen."""

    source: str
    domain: str
    language: str
    tokens: float
    """Includes repetitions. Within a portion of the mixture, tokens are divided among sources by their bytes in the corpus."""
    bytes: int
    """UTF-8 bytes in the corpus."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepCost:
    """What one step took."""

    step: str
    state: str
    seconds: float | None
    """Wall time in this run; None for a step that was reused or has not ended."""
    when_made: float | None
    """Seconds that the run took that made it; None if it has not been made."""
    memory_bytes: float | None
    """Peak of the private memory of the step's processes on its machine, in bytes; None if it was not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """The contents of the page."""

    run: str
    recipe: str
    state: str
    started: str
    """Time of the start, UTC."""
    seconds: float
    failure: str = ""
    changes: tuple[str, ...] = ()
    """What was set on the command line."""
    warnings: tuple[tuple[str, str], ...] = ()
    """(Step, warning)."""
    notes: tuple[tuple[str, str], ...] = ()
    """(Step, note)."""
    trainings: tuple[TrainingCurves, ...] = ()
    seen: tuple[SeenTokens, ...] = ()
    checks: tuple[tuple[str, CheckReport], ...] = ()
    """Reports with the names of what they checked."""
    findings: Findings | None = None
    times: tuple[StepCost, ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    """Main figures of the run in words, by their captions."""
