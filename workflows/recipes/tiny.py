"""The whole chain in a minute or two: for tests, and for trying out a change."""

from dataclasses import replace

from components.alignment.config import DPO_TRAINING, SFT_TRAINING, DPOConfig, PreferencePairsConfig, SFTConfig
from components.artifacts import ModelShape
from components.checks.limits import CheckLimits, ConversationsLimits, CorpusLimits, EvaluationLimits, PreferencePairsLimits
from components.curation.config import CorpusConfig
from components.evaluation.config import EvaluationConfig
from components.tokenizer.config import TokenShardsConfig
from components.training.config import OptimizerConfig
from workflows.recipe import Recipe
from workflows.recipes.smoke import small_vocabulary, smoke

KILOBYTE = 1000

_SAMPLE = {"code": 1500 * KILOBYTE, "prose": 1500 * KILOBYTE, "maths": 4000 * KILOBYTE}
"""Docstrings are a small part of the files that are read for them, in the few mathematical packages above all."""


def tiny() -> Recipe:
    """`smoke` with less of everything; its checks ask for fewer documents, because there are fewer."""
    base = smoke()
    training = base.pretraining.training
    return replace(
        base,
        name="tiny",
        description="the whole chain in a minute or two, for tests: a model that has seen next to nothing",
        curation=replace(
            base.curation,
            sources=tuple(replace(source, sample_bytes=_SAMPLE[source.domain]) for source in base.curation.sources),
            corpus=CorpusConfig(validation_share=0.2),
            shard_bytes=1000 * KILOBYTE,
        ),
        tokenizer=replace(small_vocabulary(512, sample_bytes=500 * KILOBYTE), max_measured_bytes=50 * KILOBYTE),
        token_shards=TokenShardsConfig(shard_bytes=1000 * KILOBYTE),
        pretraining=replace(
            base.pretraining,
            shape=ModelShape(n_layer=2, d_model=64, n_head=4, n_kv_head=2, d_ffn=256, vocab_size=512, context=256),
            tokens=200 * 4 * 256,
            batch_size=4,
            sequence_length=256,
            learning_rate=4e-3,
            init_std=0.02,
            warmup_steps=10,
            training=replace(
                training, optimizer=OptimizerConfig(), validation_steps=100, checkpoints=replace(training.checkpoints, steps=50)
            ),
            max_validation_bytes=5 * KILOBYTE,
        ),
        conversations=replace(
            base.conversations, max_conversations=200, max_validation_conversations=60, max_instructions_per_distribution=50
        ),
        sft=SFTConfig(epochs=1, learning_rate=1e-3, batch_size=16, training=replace(SFT_TRAINING, precision="auto")),
        preference_pairs=PreferencePairsConfig(max_pairs_per_kind=40, max_validation_pairs_per_kind=20, max_new_tokens=12),
        # In one pass over so few pairs the loss of the last step is noise: which pairs those are decides it.
        dpo=DPOConfig(epochs=2, learning_rate=3e-4, batch_size=8, training=replace(DPO_TRAINING, precision="auto")),
        evaluation=EvaluationConfig(
            max_bytes_per_domain=60 * KILOBYTE,
            max_items_per_task=20,
            repetition_prompts=8,
            max_new_tokens=12,
            max_context_characters=200,
        ),
        checks=CheckLimits(
            corpus=CorpusLimits(min_validation_documents=3),
            conversations=ConversationsLimits(min_conversations_per_split=20),
            preference_pairs=PreferencePairsLimits(min_pairs_per_split=10),
            evaluation=EvaluationLimits(min_documents_per_domain=2, min_items_per_task=10),
        ),
    )
