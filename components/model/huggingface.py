"""Saves and loads a decoder as a Hugging Face `LlamaForCausalLM` directory, with safetensors weights only.

Format: https://huggingface.co/docs/transformers/model_doc/llama. `transformers` is not used, because importing it takes seconds.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from components.errors import ConfigError, DamagedArtifact, MissingArtifact
from components.files import JSON, read_json
from components.model.configuration import CONFIG, huggingface_config, read_shape
from components.model.decoder import Decoder
from components.tokenizer.special_tokens import TOKENIZER_FILES, SpecialTokens

WEIGHTS = "model.safetensors"
SHARDED_WEIGHTS = "model.safetensors.index.json"
"""Index of a checkpoint in several files: the file of each tensor."""

GENERATION_CONFIG = "generation_config.json"

_NAMES = {
    "embedding.": "model.embed_tokens.",
    "layers.": "model.layers.",
    "norm.": "model.norm.",
    "head.": "lm_head.",
}
_HEAD = "lm_head.weight"
_NAMES_IN_LAYER = {
    "attention_norm.": "input_layernorm.",
    "attention.query.": "self_attn.q_proj.",
    "attention.key.": "self_attn.k_proj.",
    "attention.value.": "self_attn.v_proj.",
    "attention.output.": "self_attn.o_proj.",
    "ffn_norm.": "post_attention_layernorm.",
    "ffn.gate.": "mlp.gate_proj.",
    "ffn.up.": "mlp.up_proj.",
    "ffn.down.": "mlp.down_proj.",
}


def save(model: Decoder, tokenizer_directory: Path, output: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """Write `model.safetensors`, `config.json`, `generation_config.json` and the tokenizer's files into `output`.

    Raises:
        ConfigError: tokenizer and model have different vocabulary sizes.
        MissingArtifact: a file of the tokenizer is missing.
    """
    special = SpecialTokens.read(tokenizer_directory)
    if special.vocab_size != model.shape.vocab_size:
        raise ConfigError(
            f"{tokenizer_directory}: the vocabulary has {special.vocab_size} tokens, but the model has {model.shape.vocab_size}; "
            "save the model with the tokenizer it was trained with"
        )
    output.mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER_FILES:
        if not (tokenizer_directory / name).is_file():
            raise MissingArtifact(f"{tokenizer_directory / name}: missing; train the tokenizer again")
        shutil.copyfile(tokenizer_directory / name, output / name)
    ids = {f"{name}_token_id": getattr(special, name) for name in ("bos", "eos", "pad")}
    _write_json(output / CONFIG, huggingface_config(model.shape, str(dtype).removeprefix("torch.")) | ids)
    _write_json(output / GENERATION_CONFIG, {"_from_model_config": True} | ids)
    weights = {
        huggingface_name(name): tensor.detach().to("cpu", dtype).contiguous() for name, tensor in model.state_dict().items()
    }
    save_file(weights, output / WEIGHTS, metadata={"format": "pt"})


def load(directory: Path, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu") -> Decoder:
    """Load a decoder written by `save`, or by transformers for the same architecture, in one or several safetensors files.

    If the head is tied to the embedding, it becomes a copy of the embedding: the logits are the same, but there are two matrices.

    Raises:
        MissingArtifact: the config or the safetensors weights are missing.
        ArtifactError: the architecture differs from that of `Decoder`.
        DamagedArtifact: the weights cannot be read, or their names or shapes do not match the config.
    """
    stored = StoredWeights(directory, dtype=dtype, device=device)
    with torch.device("meta"):
        model = Decoder(stored.shape)
    model.load_state_dict({name: stored(name, tensor.shape) for name, tensor in model.state_dict().items()}, assign=True)
    return model


class StoredWeights:
    """The weights in such a directory. Each is read when it is requested, so a worker reads only the weights of its shard."""

    def __init__(self, directory: Path, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu") -> None:
        """Read the config and check the names of all tensors. Raises the errors of `load`."""
        self.shape = read_shape(directory)
        self._dtype, self._device = dtype, device
        with torch.device("meta"):
            expected = {huggingface_name(name) for name in Decoder(self.shape).state_dict()}
        self._tied = bool(_read_json(directory / CONFIG).get("tie_word_embeddings", False))
        self._paths = {name: path for path, names in _files(directory).items() for name in names}
        head = {_HEAD} if self._tied else set()
        _compare_names(directory, expected - head, set(self._paths) - head)

    def __call__(self, name: str, size: torch.Size) -> Tensor:
        """Read the parameter of `Decoder` with that name and size. A tied head is a copy of the embedding. Raises as `load`."""
        copied = self._tied and name == "head.weight"
        theirs = huggingface_name("embedding.weight" if copied else name)
        with _opened(self._paths[theirs], self._device) as weights:
            weight: Tensor = weights.get_tensor(theirs)
        if weight.shape != size:
            raise DamagedArtifact(
                f"{self._paths[theirs]}: {theirs} has shape {tuple(weight.shape)}, but by config.json it is {tuple(size)}"
            )
        return weight.to(self._dtype, copy=copied)


def _files(directory: Path) -> dict[Path, set[str]]:
    """The safetensors files and the names of their tensors, without the rotary frequencies that older exports contain."""
    path, index = directory / WEIGHTS, directory / SHARDED_WEIGHTS
    if index.is_file():
        names = {Path(name).name for name in _read_json(index).get("weight_map", {}).values()}
        paths = [directory / name for name in sorted(names)]
    else:
        paths = [path]
    if missing := [path for path in paths if not path.is_file()] or ([index] if not paths else []):
        raise MissingArtifact(
            f"{missing[0]}: missing; the weights must be in safetensors files, pickled weights are not supported"
        )
    return {path: {name for name in _names(path) if not name.endswith(".rotary_emb.inv_freq")} for path in paths}


def _names(path: Path) -> list[str]:
    with _opened(path, "cpu") as weights:
        return list(weights.keys())


@contextlib.contextmanager
def _opened(path: Path, device: str | torch.device) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt", device=str(device)) as weights:
            yield weights
    except SafetensorError as error:
        raise DamagedArtifact(f"{path}: not a complete safetensors file ({error}); create the checkpoint again") from error


def huggingface_name(name: str) -> str:
    """The name of a parameter of `Decoder` in transformers' LLaMA."""
    for own, theirs in _NAMES.items():
        if name.startswith(own):
            name = theirs + name.removeprefix(own)
            break
    if name.startswith("model.layers."):
        prefix, number, rest = "model.layers.", *name.removeprefix("model.layers.").split(".", 1)
        own = next(own for own in _NAMES_IN_LAYER if rest.startswith(own))
        name = f"{prefix}{number}.{_NAMES_IN_LAYER[own]}{rest.removeprefix(own)}"
    return name


def _compare_names(path: Path, expected: set[str], stored: set[str]) -> None:
    if missing := sorted(expected - stored):
        raise DamagedArtifact(f"{path}: {len(missing)} tensors required by config.json are missing, first {missing[0]}")
    if surplus := sorted(stored - expected):
        raise DamagedArtifact(f"{path}: {len(surplus)} tensors do not belong to the shape in config.json, first {surplus[0]}")


def _read_json(path: Path) -> Mapping[str, Any]:
    return read_json(path, dict, "choose the directory of a model or tokenizer, or create it again")


def _write_json(path: Path, value: Mapping[str, JSON]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
