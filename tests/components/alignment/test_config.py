"""The configs of alignment refuse what makes no sense, and cost nothing to import."""

import subprocess
import sys
from typing import Any

import pytest

from components.alignment.config import (
    DPO_TRAINING,
    SFT_TRAINING,
    ConversationsConfig,
    DPOConfig,
    PreferencePairsConfig,
    SFTConfig,
)
from components.errors import ConfigError
from components.training.config import TrainingConfig
from components.training.parallel.layout import ParallelLayout
from tests.training_configs import training_config


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (ConversationsConfig, {}),
        (ConversationsConfig, {"distributions": ("typer",), "max_conversations": 0}),
        (ConversationsConfig, {"distributions": ("typer",), "describe_share": 1.5}),
        (ConversationsConfig, {"sources": ("a.jsonl",), "validation_share": 1.0}),
        (SFTConfig, {"learning_rate": -1.0}),
        (SFTConfig, {"epochs": 0}),
        (SFTConfig, {"max_length": 0}),
        (SFTConfig, {"warmup_share": 1.1}),
        (SFTConfig, {"seed": -1}),
        (PreferencePairsConfig, {"kinds": ()}),
        (PreferencePairsConfig, {"kinds": ("best-vs-worst",)}),
        (PreferencePairsConfig, {"temperature": -0.1}),
        (PreferencePairsConfig, {"top_p": 0.0}),
        (DPOConfig, {"beta": 0.0}),
        (DPOConfig, {"max_validation_pairs_per_kind": 0}),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_the_field_and_the_value(config: type, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"{config.__name__}\.\w+ is .*; allowed: "):
        config(**values)


def test_the_defaults_are_the_papers_figures() -> None:
    sft, dpo = SFTConfig(), DPOConfig()
    assert (sft.epochs, sft.learning_rate) == (4, 1e-5)
    assert (dpo.beta, dpo.epochs, dpo.learning_rate, dpo.batch_size, dpo.training.schedule.kind) == (0.1, 1, 5e-6, 512, "cosine")


@pytest.mark.parametrize(("config", "training"), [(SFTConfig, SFT_TRAINING), (DPOConfig, DPO_TRAINING)])
@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        (
            {"layout": ParallelLayout(tensor=2)},
            r"training\.layout\.tensor is 2; allowed: 1: in SFT and DPO each worker holds the whole model",
        ),
        ({"layout": ParallelLayout(sequence=2)}, r"training\.layout\.sequence is 2; allowed: 1"),
        ({"layout": ParallelLayout(pipeline=2)}, r"training\.layout\.pipeline is 2; allowed: 1"),
        ({"layout": ParallelLayout(zero_stage=3)}, r"training\.layout\.zero_stage is 3; allowed: 1"),
        ({"checkpoint_permanent": (0.8,)}, r"training\.checkpoints\.permanent is \(0\.8,\); allowed: \(\)"),
    ],
)
def test_what_a_tuning_cannot_do_is_refused(
    config: type, training: TrainingConfig, changes: dict[str, Any], refusal: str
) -> None:
    with pytest.raises(ConfigError, match=rf"{config.__name__}\.{refusal}"):
        config(training=training_config(training, **changes))


def test_importing_the_configs_loads_nothing_heavy() -> None:
    script = "import sys, components.alignment.config; print({'torch', 'numpy', 'pyarrow', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "set()"
