"""What the tokenizer's settings allow."""

import subprocess
import sys

import pytest

from components.errors import ConfigError
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig


def test_the_defaults_are_the_vocabulary_of_the_paper() -> None:
    config = TokenizerConfig()
    assert config.regular_tokens + config.special_tokens == 100_015
    assert config.vocab_size == 102_400


def test_a_vocabulary_that_is_already_a_multiple_is_not_padded() -> None:
    assert TokenizerConfig(regular_tokens=1009, special_tokens=15, vocab_multiple=64).vocab_size == 1024
    assert TokenizerConfig(regular_tokens=1010, special_tokens=15, vocab_multiple=64).vocab_size == 1088


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("regular_tokens", 255),
        ("special_tokens", 2),
        ("vocab_multiple", 0),
        ("sample_bytes", 0),
        ("min_frequency", 0),
        ("max_measured_bytes", -1),
        ("seed", -1),
    ],
)
def test_a_bad_value_is_refused_with_its_field_and_value(field: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"TokenizerConfig\.{field} is {value}; allowed: "):
        TokenizerConfig(**{field: value})


def test_an_unknown_pre_tokenizer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"TokenizerConfig\.pre_tokenizer is 'gpt-2'; allowed: longrun, deepseek-llm"):
        TokenizerConfig(pre_tokenizer="gpt-2")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pre_tokenizer", "deepseek-llm"),
        ("regular_tokens", 400),
        ("special_tokens", 3),
        ("sample_bytes", 1),
        ("min_frequency", 1),
        ("seed", 1),
    ],
)
def test_what_decides_a_training_is_refused_beside_an_existing_tokenizer(field: str, value: object) -> None:
    message = rf"TokenizerConfig\.{field} is {value!r}; allowed: only its default .* with an existing tokenizer \(start\)"
    with pytest.raises(ConfigError, match=message):
        TokenizerConfig(start="tokenizer", **{field: value})  # type: ignore[arg-type]


def test_what_decides_the_embedding_and_the_measurement_is_allowed_beside_an_existing_tokenizer() -> None:
    assert TokenizerConfig(start="tokenizer", vocab_multiple=64, max_measured_bytes=1).padded(65) == 128


def test_shards_of_no_bytes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"TokenShardsConfig\.shard_bytes is 0"):
        TokenShardsConfig(shard_bytes=0)


def test_the_settings_import_nothing_heavy() -> None:
    heavy = "{'numpy', 'pyarrow', 'tokenizers', 'torch', 'transformers'}"
    code = f"import sys, components.tokenizer.config; print({heavy} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
