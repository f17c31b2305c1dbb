"""Reads and writes the shape of a decoder in Hugging Face's `config.json` for LLaMA. Does not import torch: planning uses it too.

Format: https://huggingface.co/docs/transformers/model_doc/llama.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.artifacts import ModelShape
from components.errors import ArtifactError, ConfigError, DamagedArtifact
from components.files import JSON, read_json

CONFIG = "config.json"

MODEL = ("*.safetensors", "*.json")
"""Patterns of the files of a model with its tokenizer; weights may be in several files."""


def read_shape(directory: Path) -> ModelShape:
    """Read the shape in `config.json`.

    Raises:
        MissingArtifact: there is no `config.json`.
        DamagedArtifact: a value of the shape is missing or invalid.
        ArtifactError: the architecture differs from that of `Decoder`.
    """
    path = directory / CONFIG
    config = read_json(path, dict, "choose the directory of a model, or create the model again")
    try:
        shape = ModelShape(
            n_layer=config["num_hidden_layers"],
            d_model=config["hidden_size"],
            n_head=config["num_attention_heads"],
            n_kv_head=config.get("num_key_value_heads") or config["num_attention_heads"],
            d_ffn=config["intermediate_size"],
            vocab_size=config["vocab_size"],
            context=config["max_position_embeddings"],
            norm_epsilon=config.get("rms_norm_eps", 1e-6),
            rope_theta=float(_rope(config).get("rope_theta") or config.get("rope_theta") or 10_000.0),
        )
    except KeyError as error:
        raise DamagedArtifact(f"{path}: {error} is missing; create the checkpoint again") from error
    except (ConfigError, TypeError, ValueError, AttributeError) as error:
        raise DamagedArtifact(f"{path}: {error}") from error
    _refuse_other_architectures(path, config, shape)
    return shape


def huggingface_config(shape: ModelShape, dtype: str) -> dict[str, JSON]:
    """The content of `config.json` for a `LlamaForCausalLM` of that shape, without token ids; `dtype` such as "float32"."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "dtype": dtype,
        "head_dim": shape.d_head,
        "hidden_act": "silu",
        "hidden_size": shape.d_model,
        "intermediate_size": shape.d_ffn,
        "max_position_embeddings": shape.context,
        "mlp_bias": False,
        "num_attention_heads": shape.n_head,
        "num_hidden_layers": shape.n_layer,
        "num_key_value_heads": shape.n_kv_head,
        "pretraining_tp": 1,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_theta,
        "rope_parameters": {"rope_theta": shape.rope_theta, "rope_type": "default"},
        "tie_word_embeddings": False,
        "use_cache": True,
        "vocab_size": shape.vocab_size,
    }


def _refuse_other_architectures(path: Path, config: Mapping[str, Any], shape: ModelShape) -> None:
    allowed: dict[str, tuple[object, object]] = {
        "model_type": (config.get("model_type"), "llama"),
        "hidden_act": (config.get("hidden_act", "silu"), "silu"),
        "attention_bias": (config.get("attention_bias", False), False),
        "mlp_bias": (config.get("mlp_bias", False), False),
        "head_dim": (config.get("head_dim") or shape.d_head, shape.d_head),
        "rope_type": (_rope(config).get("rope_type", "default"), "default"),
        "rope_scaling": (config.get("rope_scaling"), None),
    }
    for name, (value, wanted) in allowed.items():
        if value != wanted:
            raise ArtifactError(
                f"{path}: {name} is {value!r}; allowed: {wanted!r}, because other architectures are not supported"
            )


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return config.get("rope_parameters") or {}
