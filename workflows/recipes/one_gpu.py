"""A day or two on one GPU with 24 to 80 GB: 300 million parameters, planned by the scaling law, on public data of the hub."""

from dataclasses import replace

from components.alignment.config import DPO_TRAINING, SFT_TRAINING
from components.checks.limits import CheckLimits, PlanLimits
from components.curation.config import CurationConfig, Source
from components.evaluation.config import EvaluationConfig
from components.pretraining.config import PretrainingConfig
from components.scaling.config import ScalingConfig
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from components.training.config import TrainingConfig
from workflows.recipe import Recipe
from workflows.recipes.laptop import laptop

GIGABYTE = 1_000_000_000

COMPUTE = 1e19
"""FLOPs: 7 hours of an H100, 22 of an A100 or 42 of an RTX 4090 at 40 % of their peak. Within the range on which the paper fitted
its laws (section 3.2)."""


def one_gpu() -> Recipe:
    """Web text, code and maths; conversations and pairs from the installed packages, to be replaced by your own."""
    base = laptop()
    return replace(
        base,
        name="one-gpu",
        description="300 million parameters on 6 billion tokens of the hub: a day or two on one GPU with 24 to 80 GB",
        curation=CurationConfig(sources=sources()),
        tokenizer=TokenizerConfig(regular_tokens=32_753, sample_bytes=GIGABYTE),
        token_shards=TokenShardsConfig(),
        scaling=ScalingConfig(compute=COMPUTE),
        pretraining=PretrainingConfig(
            sequence_length=2048, training=TrainingConfig(micro_batch_tokens=8192, activation_checkpointing="selective")
        ),
        sft=replace(base.sft, learning_rate=1e-4, batch_size=64, training=replace(SFT_TRAINING, micro_batch_tokens=8192)),
        dpo=replace(base.dpo, learning_rate=1e-5, batch_size=64, training=replace(DPO_TRAINING, micro_batch_tokens=8192)),
        evaluation=EvaluationConfig(max_bytes_per_domain=10_000_000, max_items_per_task=1000, repetition_prompts=500),
        # 10 % of the smallest GPU's 24 GB are for the runtime and fragmentation
        checks=CheckLimits(plan=PlanLimits(max_memory_bytes=21_600_000_000)),
    )


def sources() -> tuple[Source, ...]:
    """About 8 billion tokens. A run resolves `main` to a commit; name a commit to repeat exactly the same run later."""
    return (
        Source(
            uri="hf://datasets/HuggingFaceFW/fineweb-edu@main/sample/10BT",
            domain="web",
            name="fineweb-edu",
            weight=0.7,
            sample_bytes=16 * GIGABYTE,
        ),
        Source(
            uri="hf://datasets/codeparrot/codeparrot-clean@main",
            domain="code",
            name="codeparrot",
            weight=0.2,
            text_field="content",
            language="code",
            sample_bytes=2 * GIGABYTE,
        ),
        Source(
            uri="hf://datasets/open-web-math/open-web-math@main/data",
            domain="maths",
            name="open-web-math",
            weight=0.1,
            sample_bytes=2 * GIGABYTE,
        ),
    )
