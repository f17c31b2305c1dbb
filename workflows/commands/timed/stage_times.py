"""How long the stages of a recipe take on this machine: from the last runs of this home that made each step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from components.artifacts import Plan, TokenIndex
from components.artifacts.splits import TRAIN
from components.errors import ArtifactError, ConfigError
from infra.settings import Settings
from workflows.steps.journal import Journal
from workflows.steps.journals import journals
from workflows.steps.stages import STAGES

Value = TypeVar("Value", Plan, TokenIndex)

TRAINS = ("sft", "dpo")
"""Steps whose time is that of training the model: it is scaled by the time of a training step."""

ASKS = ("preference_pairs", "evaluation")
"""Steps in which the model generates text: their time is known for the model that was measured alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageTime:
    """The expected time of a stage."""

    stage: str
    seconds: float | None
    """None: unknown."""
    reason: str
    """Where the time is from, or why it is unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PastRun:
    """What runs of a recipe in this home say about the next one."""

    seconds: Mapping[str, float]
    """Of each step, when it was last made rather than reused."""
    plan: Plan | None
    """The plan of the last run that had one."""
    text_bytes: int | None
    """UTF-8 bytes of training text of the last run that had token shards."""


def past_run(settings: Settings, recipe: str) -> PastRun:
    """What this home's runs of a recipe measured. Raises `StoreError` where artifacts in a bucket cannot be reached."""
    runs = [journal for journal in journals(settings) if _is_of(journal, recipe)]
    seconds: dict[str, float] = {}
    for journal in runs:
        for event in journal.events():
            if event["event"] == "made":
                seconds.setdefault(event["step"], float(event["seconds"]))
    index = next(_values(runs, settings, "token_shards", TokenIndex), None)
    return PastRun(
        seconds=seconds,
        plan=next(_values(runs, settings, "scaling", Plan), None),
        text_bytes=sum(domain.bytes for domain in index.splits[TRAIN].values()) if index else None,
    )


def stage_times(past: PastRun, *, training: float, same_model: bool, slower: float | None) -> list[StageTime]:
    """The expected time of each stage.

    Args:
        past: what was measured.
        training: seconds of the planned pretraining.
        same_model: whether the planned model has the shape of the measured runs.
        slower: time of a training step of the planned model as a multiple of the measured runs' model's; None: not known.
    """
    return [
        _stage_time(stage, steps, past, training, 1.0 if same_model else slower, same_model) for stage, steps in STAGES.items()
    ]


def _stage_time(
    stage: str, steps: tuple[str, ...], past: PastRun, training: float, slower: float | None, same_model: bool
) -> StageTime:
    if stage == "pretraining":
        return StageTime(stage=stage, seconds=training, reason="planned")
    made = [step for step in steps if step in past.seconds]
    if not made:
        return StageTime(stage=stage, seconds=None, reason="no run in this home has made it")
    if not same_model and (asking := [step for step in made if step in ASKS]):
        return StageTime(stage=stage, seconds=None, reason=f"{asking[0]} generates text with a model that was not measured")
    trained = [step for step in made if step in TRAINS]
    if trained and slower is None:
        return StageTime(stage=stage, seconds=None, reason="the model of the last run is not known")
    seconds = sum(past.seconds[step] * (slower or 1.0 if step in TRAINS else 1.0) for step in made)
    scaled = f", {trained[0]} scaled by the time of a training step" if trained and not same_model else ""
    return StageTime(stage=stage, seconds=seconds, reason=f"measured{scaled}")


def _is_of(journal: Journal, recipe: str) -> bool:
    return any(event["event"] == "run" and event.get("recipe") == recipe for event in journal.events())


def _values(runs: list[Journal], settings: Settings, step: str, kind: type[Value]) -> Iterator[Value]:
    """The values that the runs' artifacts of a step hold, newest first; those that are gone or damaged are left out."""
    for journal in runs:
        try:
            artifact = journal.artifact(step)
            yield kind.read(settings.store.local(artifact, only=(kind.NAME,)))
        except (ArtifactError, ConfigError):
            continue
