"""Training configs by the names of their fields alone, however deep these are nested."""

from dataclasses import fields, replace
from typing import Any, TypeVar

from components.alignment.config import DPOConfig, SFTConfig
from components.training.config import CheckpointConfig, Choices, IncidentConfig, TrainingConfig

Owner = TypeVar("Owner", Choices, SFTConfig, DPOConfig)


def training_config(config: TrainingConfig | None = None, **changes: Any) -> TrainingConfig:
    """`config`, or one without permanent checkpoints and validation, with `changes`.

    Those of checkpoints are called checkpoint_seconds and so on. Without a number of workers there are as many as a layout needs.
    """
    quiet = TrainingConfig(validation_steps=None, checkpoints=CheckpointConfig(permanent=()))
    config = config or quiet
    checkpoints = {name: changes.pop(f"checkpoint_{name}") for name in _names(CheckpointConfig, "checkpoint_", changes)}
    incidents = {name: changes.pop(name) for name in _names(IncidentConfig, "", changes)}
    if "layout" in changes:
        changes = {"workers": changes["layout"].workers} | changes
    return replace(
        config,
        **changes,
        checkpoints=replace(config.checkpoints, **checkpoints),
        incidents=replace(config.incidents, **incidents),
    )


def _names(kind: type, prefix: str, changes: dict[str, Any]) -> list[str]:
    return [field.name for field in fields(kind) if prefix + field.name in changes]


def with_training(owner: Owner, **changes: Any) -> Owner:
    """The config of a stage with `changes` to how it trains."""
    return replace(owner, training=training_config(owner.training, **changes))
