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
from components.training.config import TrainingConfig
from infra.distributions import source_distributions
from workflows.recipe import Recipe

MEGABYTE = 1_000_000


def smoke() -> Recipe:
    """A small LLaMA on code, prose and maths, tuned and aligned on what authors wrote about their functions."""
    distributions = source_distributions()
    return Recipe(
        name="smoke",
        description="the whole chain on the text of this Python environment, at most 10 minutes on two cores",
        curation=_curation(distributions),
        tokenizer=TokenizerConfig(regular_tokens=4081, sample_bytes=12 * MEGABYTE, max_measured_bytes=MEGABYTE),
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
        shape=ModelShape(n_layer=4, d_model=192, n_head=3, n_kv_head=3, d_ffn=512, vocab_size=4096, context=256),
        tokens=1_228_800,
        # 4 sequences at 2e-3 were better than 8 at 4e-3 or 4 at 4e-3, in every domain.
        batch_size=4,
        sequence_length=256,
        learning_rate=2e-3,
        init_std=0.02,
        warmup_steps=60,
        training=_on_two_cores(TrainingConfig(validation_steps=400)),
        max_validation_bytes=40_000,
    )


def _on_two_cores(config: TrainingConfig) -> TrainingConfig:
    """What all trainings of the recipe have in common."""
    checkpoints = replace(config.checkpoints, seconds=30.0)
    return replace(config, precision="auto", micro_batch_tokens=1024, checkpoints=checkpoints)


def _conversations(distributions: tuple[str, ...]) -> ConversationsConfig:
    return ConversationsConfig(
        distributions=distributions,
        max_conversations=2000,
        max_validation_conversations=300,
        max_instructions_per_distribution=400,
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
        repetition_prompts=50,
        max_new_tokens=48,
        max_context_characters=240,
        max_answer_characters=120,
        batch_tokens=2048,
    )
