"""Checkpoints as transformers reads them, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from components.artifacts import ModelShape
from components.errors import ArtifactError, ConfigError, DamagedArtifact, MissingArtifact
from components.model import huggingface
from components.model.decoder import Decoder, initialise
from components.model.huggingface import StoredWeights, load, read_shape, save
from components.tokenizer.special_tokens import SpecialTokens

SHAPE = ModelShape(n_layer=2, d_model=32, n_head=4, n_kv_head=2, d_ffn=48, vocab_size=64, context=32)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A directory with the files of a tokenizer artifact."""
    directory = tmp_path / "tokenizer"
    directory.mkdir()
    (directory / "tokenizer.json").write_text("{}")
    (directory / "tokenizer_config.json").write_text("{}")
    SpecialTokens(bos=0, eos=1, pad=2, vocab_size=SHAPE.vocab_size, regular_tokens=61).write(directory)
    return directory


def decoder(shape: ModelShape = SHAPE) -> Decoder:
    model = Decoder(shape)
    initialise(model, std=0.2, seed=0)
    return model


@pytest.fixture
def checkpoint(tokenizer: Path, tmp_path: Path) -> Path:
    """A saved model."""
    save(decoder(), tokenizer, tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.long
@pytest.mark.parametrize("n_kv_head", [1, 2, 4])
def test_transformers_gives_the_same_logits(n_kv_head: int, tokenizer: Path, tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    shape = ModelShape(n_layer=2, d_model=32, n_head=4, n_kv_head=n_kv_head, d_ffn=48, vocab_size=64, context=32)
    model = decoder(shape)
    save(model, tokenizer, tmp_path / "checkpoint")
    theirs = LlamaForCausalLM.from_pretrained(tmp_path / "checkpoint", dtype=torch.float32)
    tokens = torch.randint(0, shape.vocab_size, (3, 32), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(theirs(tokens).logits, model(tokens), rtol=1e-5, atol=1e-5)
    assert (theirs.generation_config.eos_token_id, theirs.generation_config.pad_token_id) == (1, 2)


def test_what_transformers_saves_is_read_back(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=32,
    )  # fmt: skip
    theirs = LlamaForCausalLM(config)
    theirs.save_pretrained(tmp_path)
    tokens = torch.arange(32)[None]
    torch.testing.assert_close(load(tmp_path)(tokens), theirs(tokens).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("size", ["20KB", "1GB"])
def test_llamas_of_others_give_the_same_logits_and_so_do_their_exports(
    tied: bool, size: str, tokenizer: Path, tmp_path: Path
) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=32, rms_norm_eps=1e-5, rope_theta=5e5, tie_word_embeddings=tied, initializer_range=0.3,
    )  # fmt: skip
    theirs = LlamaForCausalLM(config)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size=size)
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists() == (size == "20KB")
    model, tokens = load(tmp_path / "theirs"), torch.arange(32)[None]
    assert (model.shape.norm_epsilon, model.shape.rope_theta) == (1e-5, 5e5)
    torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-5, atol=1e-5)
    save(model, tokenizer, tmp_path / "ours")
    ours = LlamaForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float32)
    torch.testing.assert_close(ours(tokens).logits, theirs(tokens).logits, rtol=1e-5, atol=1e-5)


def test_weights_are_read_one_at_a_time_each_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=32, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path, max_shard_size="20KB")
    stored, model, opened = StoredWeights(tmp_path), load(tmp_path), []
    real = huggingface._opened
    monkeypatch.setattr(huggingface, "_opened", lambda path, device: opened.append(path.name) or real(path, device))
    for name, parameter in model.named_parameters():
        assert torch.equal(stored(name, parameter.shape), parameter)
    held = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    held["lm_head.weight"] = held["model.embed_tokens.weight"]
    assert opened == [held[huggingface.huggingface_name(name)] for name, _ in model.named_parameters()]
    assert model.head.weight.data_ptr() != model.embedding.weight.data_ptr()


def test_rotary_frequencies_that_older_exports_hold_are_passed_over(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(weights, checkpoint / "model.safetensors")
    assert load(checkpoint).shape == SHAPE


def test_a_missing_part_of_the_weights_is_named(checkpoint: Path) -> None:
    weight_map = {"lm_head.weight": "model-00002-of-00002.safetensors", "model.norm.weight": "model.safetensors"}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(MissingArtifact, match=r"model-00002-of-00002\.safetensors: missing"):
        load(checkpoint)


def test_a_loaded_model_is_the_saved_one_and_can_be_trained(checkpoint: Path) -> None:
    model, loaded = decoder(), load(checkpoint)
    assert loaded.shape == SHAPE == read_shape(checkpoint)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
    loaded(torch.arange(8)[None]).sum().backward()
    assert loaded.embedding.weight.grad is not None


def test_bf16_halves_the_file_and_says_so(checkpoint: Path, tokenizer: Path, tmp_path: Path) -> None:
    save(decoder(), tokenizer, tmp_path / "half", dtype=torch.bfloat16)
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == "bfloat16"
    assert (tmp_path / "half" / "model.safetensors").stat().st_size < 0.6 * (checkpoint / "model.safetensors").stat().st_size
    assert load(tmp_path / "half", dtype=torch.bfloat16).head.weight.dtype == torch.bfloat16


def test_the_same_weights_give_the_same_bytes(checkpoint: Path, tokenizer: Path, tmp_path: Path) -> None:
    save(decoder(), tokenizer, tmp_path / "again")
    names = sorted(path.name for path in checkpoint.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir())
    assert all((checkpoint / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in names)


def test_a_pickled_checkpoint_is_never_opened(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    torch.save(decoder().state_dict(), checkpoint / "pytorch_model.bin")
    with pytest.raises(MissingArtifact, match="pickled weights are not supported"):
        load(checkpoint)


def test_a_pickle_under_the_name_of_safetensors_is_refused(checkpoint: Path) -> None:
    torch.save(decoder().state_dict(), checkpoint / "model.safetensors")
    with pytest.raises(DamagedArtifact, match="not a complete safetensors file"):
        load(checkpoint)


def test_cut_off_weights_are_refused(checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DamagedArtifact, match="not a complete safetensors file"):
        load(checkpoint)


def test_a_tensor_of_another_shape_is_refused_with_both_shapes(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"][:60].contiguous()
    save_file(weights, checkpoint / "model.safetensors")
    with pytest.raises(DamagedArtifact, match=r"lm_head\.weight has shape \(60, 32\), but by config\.json it is \(64, 32\)"):
        load(checkpoint)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lm_head.weight", "1 tensors required by config.json are missing"),
        ("extra.weight", "1 tensors do not belong to the shape in config.json"),
    ],
)
def test_missing_and_surplus_tensors_are_refused_by_name(checkpoint: Path, name: str, message: str) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    if name in weights:
        del weights[name]
    else:
        weights[name] = torch.zeros(2)
    save_file(weights, checkpoint / "model.safetensors")
    with pytest.raises(DamagedArtifact, match=f"{message}, first {name}"):
        load(checkpoint)


@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "gpt2"},
        {"attention_bias": True},
        {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "linear", "factor": 4.0}},
        {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
        {"head_dim": 16},
    ],
)
def test_another_architecture_is_refused(checkpoint: Path, changes: dict[str, object]) -> None:
    edit(checkpoint / "config.json", **changes)
    with pytest.raises(ArtifactError, match="other architectures are not supported"):
        load(checkpoint)


def test_a_damaged_config_is_refused(checkpoint: Path) -> None:
    edit(checkpoint / "config.json", num_attention_heads=5)
    with pytest.raises(DamagedArtifact, match="divisor of d_model"):
        load(checkpoint)
    (checkpoint / "config.json").write_text("{")
    with pytest.raises(DamagedArtifact, match="not JSON"):
        load(checkpoint)
    (checkpoint / "config.json").unlink()
    with pytest.raises(MissingArtifact, match="missing"):
        load(checkpoint)


def test_a_tokenizer_of_another_vocabulary_is_refused(tokenizer: Path, tmp_path: Path) -> None:
    edit(tokenizer / "special_tokens.json", vocab_size=128)
    with pytest.raises(ConfigError, match="the vocabulary has 128 tokens, but the model has 64"):
        save(decoder(), tokenizer, tmp_path / "checkpoint")


def test_an_incomplete_tokenizer_is_refused(tokenizer: Path, tmp_path: Path) -> None:
    (tokenizer / "tokenizer.json").unlink()
    with pytest.raises(MissingArtifact, match=r"tokenizer\.json: missing"):
        save(decoder(), tokenizer, tmp_path / "checkpoint")
