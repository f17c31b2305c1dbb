"""The pretraining stage: steps that train a base model from token shards and a plan, and its check."""

import functools
from dataclasses import dataclass, field
from typing import Annotated, Any

from components.artifacts import (
    Checkpoint,
    Figures,
    Mixture,
    Plan,
    TokenIndex,
    Tokenizer,
    TokenShards,
    TrainingPlan,
    TrainingState,
)
from components.checks.limits import PretrainingLimits
from components.file_names import names_files
from components.model.configuration import MODEL
from components.model.origin import READ
from components.pretraining.config import PretrainingConfig
from components.tokenizer.special_tokens import TOKENIZER_FILES
from infra.flyte import environments
from workflows.steps.branching import branch_figures, keep_states
from workflows.steps.checks import check
from workflows.steps.inputs import Component, only
from workflows.steps.run import Run
from workflows.steps.step import obtain, step
from workflows.steps.work import Work

TOKENS = only(TokenIndex.NAME, Mixture.NAME, "*.bin", "*/documents.parquet")
"""The files of token shards that training reads, from both splits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Config of the step `start`: the model whose weights and tokenizer training starts from."""

    directory: str = field(metadata=names_files(patterns=READ))
    """Path, or URI in a bucket, of a Hugging Face LLaMA directory: config, safetensors and tokenizer.json."""


async def obtain_start(run: Run, config: PretrainingConfig) -> Checkpoint | None:
    """The imported checkpoint that pretraining starts from; None if `config.start` is empty."""
    return await obtain(run, start, Start(directory=config.start)) if config.start else None


def start_facts(config: Start) -> dict[str, str]:
    """A fingerprint of the model's files."""
    from components.model.origin import fingerprint

    return {"files": fingerprint(config.directory)}


@step(environments.cpu, Checkpoint, facts=start_facts)
def start(config: Start) -> Component:
    """Import the checkpoint from which pretraining starts."""
    from components.model.imported import import_checkpoint

    return functools.partial(import_checkpoint, config.directory)


@step(environments.train, Checkpoint)
def pretraining(
    work: Work,
    config: PretrainingConfig,
    plan: Annotated[TrainingPlan, only(Plan.NAME)],
    token_shards: Annotated[TokenShards, TOKENS],
    tokenizer: Annotated[Tokenizer, only(*TOKENIZER_FILES)],
    trunk: TrainingState | None = None,
    start: Annotated[Checkpoint | None, only(*MODEL)] = None,
) -> Component:
    """Train the base model from new weights, from the weights of `start`, or from `trunk`, the training state of another run.

    Its permanent checkpoints are kept as training states, from which other runs can branch.
    """
    from components.pretraining.pretrain import permanent_checkpoints, pretrain

    @functools.wraps(pretrain)
    def pretrain_and_keep(**arguments: Any) -> Figures:
        figures = pretrain(**arguments)
        keep_states(work, config, permanent_checkpoints(config, plan=arguments["inputs"].plan, scratch=work.scratch))
        return {**figures, **branch_figures(work.order.run)}

    return pretrain_and_keep


check_pretraining = check(
    "components.checks.training",
    PretrainingLimits,
    Annotated[Checkpoint, only("metrics/*")],
    name="check_pretraining",
    token_shards=Annotated[TokenShards, only(TokenIndex.NAME, Mixture.NAME)],
)
