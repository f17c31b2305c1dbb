"""The default: every stage on real text from this Python environment, in minutes, on two cores."""

from dataclasses import replace

from components.alignment.config import (
    DPO_TRAINING,
    SFT_TRAINING,
    ConversationsConfig,
    DPOConfig,
    PreferencePairsConfig,
    SFTConfig,
)
from components.artifacts import ModelShape
from components.checks.limits import CheckLimits, CorpusLimits, EvaluationLimits
from components.curation.config import PYTHON_ENVIRONMENT, CorpusConfig, CurationConfig, Source
from components.evaluation.config import EvaluationConfig
from components.pretraining.config import PretrainingConfig
from components.registration.config import RegistrationConfig
from components.scaling.config import ScalingConfig
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from components.training.config import OptimizerConfig, TrainingConfig
from infra.distributions import source_distributions
from workflows.recipe import Recipe

MEGABYTE = 1_000_000

SMALL_BATCH = OptimizerConfig(beta2=0.99)
"""AdamW for batches of about a thousand tokens. The half-life of the second moment should be the same number of tokens at every
batch size (arXiv 2507.07101), so that small batches need a larger beta2 than the paper's 0.95."""


def smoke() -> Recipe:
    """A small LLaMA on code, prose and maths, tuned and aligned on what authors wrote about their functions."""
    distributions = source_distributions()
    return Recipe(
        name="smoke",
        description="the whole chain on the text of this Python environment, at most 10 minutes on two cores",
        curation=_curation(distributions),
        tokenizer=small_vocabulary(1024, sample_bytes=12 * MEGABYTE),
        token_shards=TokenShardsConfig(shard_bytes=8 * MEGABYTE),
        # Far below the budgets that the laws were fitted on: shape, batch and rate are chosen, and the plan shows the law beside.
        scaling=ScalingConfig(compute=None),
        pretraining=_pretraining(),
        conversations=_conversations(distributions),
        sft=_sft(),
        preference_pairs=PreferencePairsConfig(max_pairs_per_kind=400, max_validation_pairs_per_kind=100, max_new_tokens=40),
        dpo=_dpo(),
        evaluation=_evaluation(),
        registration=RegistrationConfig(),
        # Documents of code are whole files: fewer of them fit into what is held out and measured at this size.
        checks=CheckLimits(
            corpus=CorpusLimits(min_validation_documents=20), evaluation=EvaluationLimits(min_documents_per_domain=5)
        ),
    )


def small_vocabulary(size: int, *, sample_bytes: int) -> TokenizerConfig:
    """A tokenizer for a small model with `size` embedding rows, 15 of them for special tokens."""
    return TokenizerConfig(regular_tokens=size - 15, vocab_multiple=64, sample_bytes=sample_bytes, max_measured_bytes=MEGABYTE)


def _curation(distributions: tuple[str, ...]) -> CurationConfig:
    return CurationConfig(
        sources=(
            Source(uri=PYTHON_ENVIRONMENT, domain="code", weight=0.6, sample_bytes=24 * MEGABYTE, distributions=distributions),
            Source(uri=PYTHON_ENVIRONMENT, domain="prose", weight=0.25, sample_bytes=24 * MEGABYTE, distributions=distributions),
            Source(uri=PYTHON_ENVIRONMENT, domain="maths", weight=0.15, sample_bytes=24 * MEGABYTE, distributions=distributions),
        ),
        corpus=CorpusConfig(validation_share=0.05),
        shard_bytes=8 * MEGABYTE,
    )


def _pretraining() -> PretrainingConfig:
    return PretrainingConfig(
        shape=ModelShape(n_layer=4, d_model=128, n_head=2, n_kv_head=2, d_ffn=344, vocab_size=1024, context=192),
        tokens=3_360_000,
        batch_size=5,
        sequence_length=192,
        learning_rate=1.7e-3,
        init_std=0.04,
        warmup_steps=100,
        training=_on_two_cores(TrainingConfig(optimizer=SMALL_BATCH, validation_steps=1000)),
        max_validation_bytes=40_000,
    )


def _on_two_cores(config: TrainingConfig) -> TrainingConfig:
    """What all training runs of the recipe have in common."""
    checkpoints = replace(config.checkpoints, seconds=30.0)
    return replace(config, precision="auto", micro_batch_tokens=1024, checkpoints=checkpoints)


def _conversations(distributions: tuple[str, ...]) -> ConversationsConfig:
    return ConversationsConfig(
        distributions=distributions,
        max_conversations=2000,
        max_validation_conversations=300,
        max_instructions_per_distribution=800,
        # Longer ones would not fit into the context.
        max_prompt_characters=250,
        max_answer_characters=250,
    )


def _sft() -> SFTConfig:
    return SFTConfig(
        epochs=1,
        learning_rate=1e-3,
        batch_size=16,
        max_validation_conversations=150,
        training=_on_two_cores(SFT_TRAINING),
    )


def _dpo() -> DPOConfig:
    return DPOConfig(
        # So few pairs teach so small a model something only over several passes.
        epochs=3,
        beta=0.3,
        learning_rate=2e-4,
        batch_size=16,
        training=_on_two_cores(DPO_TRAINING),
    )


def _evaluation() -> EvaluationConfig:
    return EvaluationConfig(
        max_bytes_per_domain=100_000,
        max_items_per_task=100,
        repetition_prompts=100,
        max_new_tokens=48,
        max_context_characters=240,
        max_answer_characters=120,
        batch_tokens=2048,
    )
