"""How a training begins: what its steps depend on, which others begin in the same way, and the checkpoint at which they part.

Under the multi-step schedule a training is, up to the first drop of its rate, the beginning of every longer one: the first stage
can be reused (DeepSeek LLM, arXiv 2401.02954, section 2.3).
"""

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from components.artifacts import Plan, sha256_of_file
from components.errors import ConfigError
from components.pretraining.config import PretrainingConfig
from components.tokenizer.token_shards import INDEX
from components.training.checkpoints.files import (
    HISTORY,
    LENGTH,
    read_history,
    read_manifest,
    state_files,
    unlike,
    write_manifest,
)
from components.training.config import TrainingSettings
from components.training.data_order import DataOrder
from components.training.schedule import common_steps

CHECKPOINT = "checkpoint"
"""Folder of a training state with the files of a training checkpoint."""


def beginning(plan: Plan, config: PretrainingConfig, order: DataOrder, token_shards: Path) -> dict[str, Any]:
    """All that a step depends on, the number of steps left out: trainings that agree in it begin in the same way."""
    decides = ("shape", "batch_size", "sequence_length", "learning_rate", "init_std", "warmup_steps")
    values = asdict(plan)
    return {
        "plan": {name: values[name] for name in decides},
        "optimizer": asdict(config.optimizer),
        "schedule": asdict(config.schedule),
        "order": {portion.name: [portion.windows, portion.share] for portion in order.portions},
        "seed": order.seed,
        "micro_batch_size": config.micro_batch_size,
        "token_shards": sha256_of_file(token_shards / INDEX),
        # Left out where it is off, so that checkpoints from before there was one go on being found
        **({"document_mask": True} if config.document_mask else {}),
    }


def require_same_beginning(checkpoint: Path, identity: dict[str, Any], settings: TrainingSettings) -> None:
    """Refuse to branch from a checkpoint into a training that would not have come by there.

    Raises:
        ConfigError: something that decides a step is another, or the rate of either training has dropped before.
    """
    manifest = read_manifest(checkpoint)
    found, step = manifest["identity"], manifest["step"]
    # A worker alone knows the precision that its device has; it is compared where training begins.
    here = json.loads(json.dumps(identity)) | {name: found[name] for name in (LENGTH, "precision")}
    if apart := unlike(found, here):
        raise ConfigError(f"a branch from step {step} begins as its trunk did: there {apart[0]}; set it so, or train anew")
    for name, steps in (("the trunk", found[LENGTH]), ("the branch", settings.steps)):
        common = common_steps(replace(settings, steps=steps, permanent_checkpoints=()))
        if step > common:
            raise ConfigError(
                f"a branch from step {step}: {name}, of {steps} steps, has its learning rate lowered after step {common}; "
                "allowed: a checkpoint of the first stage, and at least as many tokens as have the same first stage"
            )


def keep(checkpoint: Path, output: Path) -> dict[str, Any]:
    """Make `output` a training state: a checkpoint's files, as links where they lie on one disk; its step, steps and tokens.

    What it says of time is left out: equal trainings leave equal files.
    """
    place = output / CHECKPOINT
    place.mkdir()
    for path in (*state_files(checkpoint), checkpoint / HISTORY):
        _link(path, place / path.name)
    manifest = {name: value for name, value in read_manifest(checkpoint).items() if name != "goodput"}
    write_manifest(place, manifest)
    last = read_history(checkpoint)[-1]
    return {"step": manifest["step"], "steps": manifest["identity"][LENGTH], "tokens": int(last["tokens"])}


def _link(path: Path, place: Path) -> None:
    try:
        os.link(path, place)
    except OSError:  # another disk, or one without links
        shutil.copyfile(path, place)
