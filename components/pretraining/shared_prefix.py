"""The first steps that trainings of different lengths share: what they depend on, and the checkpoint from which trainings branch.

With the multi-step schedule, a training run is a prefix of every longer one up to the first drop of its learning rate, so this
first stage can be reused (DeepSeek LLM, arXiv 2401.02954, section 2.3).
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

from components.artifacts import Plan, TokenIndex, TrainingProgress
from components.errors import ConfigError
from components.files import JSON, link_or_copy
from components.ports.verification import HASHED
from components.pretraining.config import PretrainingConfig
from components.training.checkpoints.files import (
    HISTORY,
    LENGTH,
    read_history,
    read_manifest,
    state_files,
    unequal_values,
    write_manifest,
)
from components.training.config import TrainingSettings
from components.training.data_order import DataOrder
from components.training.schedule import common_steps

CHECKPOINT = "checkpoint"
"""Subdirectory of a training state that contains the files of the training checkpoint."""


def prefix_identity(plan: Plan, config: PretrainingConfig, order: DataOrder, token_shards: Path) -> dict[str, JSON]:
    """Everything that a step depends on, except the number of steps. Trainings with equal values share their first steps."""
    deciding = ("shape", "batch_size", "sequence_length", "learning_rate", "init_std", "warmup_steps")
    values = asdict(plan)
    return {
        "plan": {name: values[name] for name in deciding},
        "optimizer": asdict(config.training.optimizer),
        "schedule": asdict(config.training.schedule),
        "order": {portion.name: [portion.windows, portion.share] for portion in order.portions},
        "seed": order.seed,
        "micro_batch_size": config.training.sequences(plan.sequence_length),
        "token_shards": HASHED.sha256(token_shards / TokenIndex.NAME),
        # Only if set, so that training runs can still resume from checkpoints made before this option existed
        **({"document_mask": True} if config.document_mask else {}),
    }


def require_same_prefix(checkpoint: Path, identity: dict[str, JSON], settings: TrainingSettings) -> None:
    """Raise an error if this training does not share its first steps, up to a checkpoint, with the training of the checkpoint.

    Raises:
        ConfigError: a value that a step depends on differs, or the learning rate of either training drops before the checkpoint.
    """
    manifest = read_manifest(checkpoint)
    trunk, step = manifest["identity"], manifest["step"]
    # The precision depends on the worker's device, so it is compared when training starts.
    branch = json.loads(json.dumps(identity)) | {name: trunk[name] for name in (LENGTH, "precision")}
    if unequal := unequal_values(trunk, branch):
        raise ConfigError(
            f"a branch from step {step} must have the same settings as its trunk, in which {unequal[0]}; "
            "set the same value, or start a new training run"
        )
    for name, steps in (("the trunk", trunk[LENGTH]), ("the branch", settings.steps)):
        common = common_steps(replace(settings, steps=steps))
        if step > common:
            raise ConfigError(
                f"a branch from step {step}: {name}, with {steps} steps, lowers its learning rate after step {common}; "
                "allowed: a checkpoint before the first drop of the learning rate, in the trunk and in the branch"
            )


def write_training_state(checkpoint: Path, output: Path) -> TrainingProgress:
    """Write a checkpoint as a training state into `output` and return the step that it has reached.

    Files are hard-linked if possible. Times are left out, so that equal training runs write equal files.
    """
    directory = output / CHECKPOINT
    directory.mkdir()
    for path in (*state_files(checkpoint), checkpoint / HISTORY):
        link_or_copy(path, directory / path.name)
    manifest = {name: value for name, value in read_manifest(checkpoint).items() if name != "goodput"}
    write_manifest(directory, manifest)
    last = read_history(checkpoint)[-1]
    reached = TrainingProgress(step=manifest["step"], steps=manifest["identity"][LENGTH], tokens=int(last["tokens"]))
    reached.write(output)
    return reached
