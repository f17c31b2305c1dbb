"""The configs of alignment refuse what makes no sense, and cost nothing to import."""

import subprocess
import sys
from typing import Any

import pytest

from components.alignment.config import ConversationsConfig, DPOConfig, PreferencePairsConfig, SFTConfig
from components.errors import ConfigError


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (ConversationsConfig, {}),
        (ConversationsConfig, {"distributions": ("typer",), "max_conversations": 0}),
        (ConversationsConfig, {"distributions": ("typer",), "describe_share": 1.5}),
        (ConversationsConfig, {"sources": ("a.jsonl",), "validation_share": 1.0}),
        (ConversationsConfig, {"sources": ("a.jsonl",), "max_bad_lines": -1}),
        (SFTConfig, {"learning_rate": -1.0}),
        (SFTConfig, {"epochs": 0}),
        (SFTConfig, {"precision": "fp8"}),
        (SFTConfig, {"activation_checkpointing": "some"}),
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
    assert (dpo.beta, dpo.epochs, dpo.learning_rate, dpo.batch_size, dpo.schedule.kind) == (0.1, 1, 5e-6, 512, "cosine")


def test_importing_the_configs_loads_nothing_heavy() -> None:
    script = "import sys, components.alignment.config; print({'torch', 'numpy', 'pyarrow', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "set()"
