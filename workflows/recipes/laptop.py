"""An hour and a half on two cores: a model that writes recognisable Python, and beats zlib in every domain."""

from dataclasses import replace

from components.artifacts import ModelShape
from components.tokenizer.config import TokenizerConfig
from components.training.config import OptimizerConfig
from workflows.recipe import Recipe
from workflows.recipes.smoke import MEGABYTE, smoke


def laptop() -> Recipe:
    """`smoke` with a larger model, more text and more steps."""
    base = smoke()
    training = base.pretraining.training
    return replace(
        base,
        name="laptop",
        description="a larger model on more text, at most 90 minutes on two cores",
        curation=replace(
            base.curation,
            sources=tuple(replace(source, sample_bytes=80 * MEGABYTE) for source in base.curation.sources),
        ),
        tokenizer=TokenizerConfig(regular_tokens=8177, sample_bytes=30 * MEGABYTE, max_measured_bytes=MEGABYTE),
        pretraining=replace(
            base.pretraining,
            shape=ModelShape(n_layer=6, d_model=256, n_head=4, n_kv_head=4, d_ffn=768, vocab_size=8192, context=512),
            tokens=6_144_000,
            batch_size=4,
            sequence_length=512,
            learning_rate=1.5e-3,
            init_std=0.02,
            warmup_steps=150,
            training=replace(
                training,
                optimizer=OptimizerConfig(),
                micro_batch_tokens=2048,
                validation_steps=1000,
                checkpoints=replace(training.checkpoints, seconds=120.0),
            ),
            max_validation_bytes=100_000,
        ),
        conversations=replace(
            base.conversations,
            max_conversations=12_000,
            max_validation_conversations=500,
            max_instructions_per_distribution=800,
            max_prompt_characters=400,
            max_answer_characters=400,
        ),
        sft=replace(base.sft, learning_rate=5e-4),
        preference_pairs=replace(base.preference_pairs, max_pairs_per_kind=1200, max_validation_pairs_per_kind=200),
        dpo=replace(base.dpo, epochs=2, learning_rate=1e-4),
        evaluation=replace(base.evaluation, max_bytes_per_domain=300_000, max_items_per_task=200),
    )
