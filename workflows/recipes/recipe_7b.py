"""The paper's 7B on 64 GPUs with 80 GB, with public data of the hub."""

from dataclasses import replace

from components.alignment.config import ConversationsConfig, DPOConfig, PreferencePairsConfig, SFTConfig
from components.checks.limits import CheckLimits
from components.curation.config import CurationConfig, Source
from components.evaluation.config import EvaluationConfig
from components.pretraining.config import PretrainingConfig
from components.scaling.config import ScalingConfig
from components.scaling.planning.proposal import PAPER_MODELS
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from components.training.config import TrainingConfig
from workflows.recipe import Recipe
from workflows.recipes.one_gpu import one_gpu

PAPER = PAPER_MODELS["7b"]

GPUS = 64
"""39 days on H100 at 40 % of their peak. With another number, set `pretraining.training.workers`: the plan stays the same."""


def recipe_7b() -> Recipe:
    """Shape, tokens, batch and learning rate of DeepSeek LLM 7B (table 2), with the paper's settings of SFT and DPO."""
    base = one_gpu()
    return replace(
        base,
        name="7b",
        description="the paper's 7B on 2 trillion tokens of the hub, on 64 GPUs with 80 GB",
        curation=CurationConfig(sources=sources()),
        # The paper's tokenizer has 100 000 tokens besides the special ones, padded to 102 400 rows (section 2.1)
        tokenizer=TokenizerConfig(),
        token_shards=TokenShardsConfig(),
        scaling=ScalingConfig(compute=None),
        pretraining=PretrainingConfig(
            shape=PAPER.shape,
            tokens=PAPER.tokens,
            batch_size=PAPER.batch_size,
            sequence_length=4096,
            learning_rate=PAPER.learning_rate,
            loss_rows=512,
            training=TrainingConfig(workers=GPUS, micro_batch_tokens=4096, activation_checkpointing="selective"),
        ),
        conversations=ConversationsConfig(distributions=base.conversations.distributions),
        sft=SFTConfig(training=_on_gpus(SFTConfig().training)),
        preference_pairs=PreferencePairsConfig(),
        dpo=DPOConfig(training=_on_gpus(DPOConfig().training)),
        evaluation=EvaluationConfig(),
        checks=CheckLimits(),
    )


def _on_gpus(config: TrainingConfig) -> TrainingConfig:
    return replace(config, workers=GPUS // 8, micro_batch_tokens=4096, activation_checkpointing="selective")


def sources() -> tuple[Source, ...]:
    """About 1.6 trillion tokens. The code is gated: accept its terms on the hub, and set HF_TOKEN."""
    return (
        Source(uri="hf://datasets/HuggingFaceFW/fineweb-edu@main/data", domain="web", name="fineweb-edu", weight=0.8),
        Source(
            uri="hf://datasets/bigcode/starcoderdata@main",
            domain="code",
            name="starcoderdata",
            weight=0.15,
            text_field="content",
            language="code",
        ),
        Source(uri="hf://datasets/HuggingFaceTB/finemath@main/finemath-3plus", domain="maths", name="finemath", weight=0.05),
    )
