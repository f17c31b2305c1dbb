"""The prefix that trainings of several lengths share: what their first steps depend on, and the checkpoint where they branch.

Under the multi-step schedule a training is, up to the first drop of its learning rate, a prefix of every longer one: the first
stage can be reused (DeepSeek LLM, arXiv 2401.02954, section 2.3).
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

from components.artifacts import Plan, ReachedStep, TokenIndex
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
"""Directory of a training state that has the files of a training checkpoint."""


def prefix_identity(plan: Plan, config: PretrainingConfig, order: DataOrder, token_shards: Path) -> dict[str, JSON]:
    """All that a step depends on except the number of steps: trainings with the same one share their first steps."""
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
        # Only where it is on, so that checkpoints made before it existed are still resumed from
        **({"document_mask": True} if config.document_mask else {}),
    }


def require_same_prefix(checkpoint: Path, identity: dict[str, JSON], settings: TrainingSettings) -> None:
    """Refuse to branch from a checkpoint of a trunk that does not share its first steps with this training.

    Raises:
        ConfigError: a value that a step depends on differs, or the learning rate of either training has dropped before.
    """
    manifest = read_manifest(checkpoint)
    trunk, step = manifest["identity"], manifest["step"]
    # Only a worker knows the precision of its device; it is compared when training starts.
    branch = json.loads(json.dumps(identity)) | {name: trunk[name] for name in (LENGTH, "precision")}
    if unequal := unequal_values(trunk, branch):
        raise ConfigError(f"a branch from step {step} starts as its trunk did: there {unequal[0]}; set it so, or train anew")
    for name, steps in (("the trunk", trunk[LENGTH]), ("the branch", settings.steps)):
        common = common_steps(replace(settings, steps=steps))
        if step > common:
            raise ConfigError(
                f"a branch from step {step}: {name}, of {steps} steps, has its learning rate lowered after step {common}; "
                "allowed: a checkpoint of the first stage, and at least as many tokens as have the same first stage"
            )


def write_training_state(checkpoint: Path, output: Path) -> ReachedStep:
    """Write a checkpoint as a training state, with links where both are on one disk, and how far it is.

    Its times are omitted: equal trainings leave equal files.
    """
    directory = output / CHECKPOINT
    directory.mkdir()
    for path in (*state_files(checkpoint), checkpoint / HISTORY):
        link_or_copy(path, directory / path.name)
    manifest = {name: value for name, value in read_manifest(checkpoint).items() if name != "goodput"}
    write_manifest(directory, manifest)
    last = read_history(checkpoint)[-1]
    reached = ReachedStep(step=manifest["step"], steps=manifest["identity"][LENGTH], tokens=int(last["tokens"]))
    reached.write(output)
    return reached
