"""Checkpoints of others as the start of a training."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tokenizers
import torch

from components.artifacts import ModelShape
from components.errors import MissingArtifact
from components.model.huggingface import load
from components.model.imported import import_checkpoint
from components.model.origin import fingerprint
from components.tokenizer.text_tokenizer import TextTokenizer
from tests.hub_server import Hub, Repository


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A LLaMA as transformers saves it, in bf16, with a tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=256, eos_token_id=257,
    )  # fmt: skip
    LlamaForCausalLM(config).bfloat16().save_pretrained(tmp_path / "theirs")
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=256, initial_alphabet=alphabet, show_progress=False)
    library.train_from_iterator([""], trainer)
    library.add_special_tokens(["<s>", "</s>"])
    library.save(str(tmp_path / "theirs" / "tokenizer.json"))
    return tmp_path / "theirs"


def test_a_checkpoint_is_imported_in_fp32_with_its_tokenizer_and_the_hashes_of_its_files(theirs: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    figures = import_checkpoint(str(theirs), output)
    model, tokenizer = load(output), TextTokenizer.load(output)
    assert ModelShape(**figures["shape"]) == model.shape
    assert figures["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert model.head.weight.dtype == torch.float32
    assert torch.equal(model.head.weight, load(theirs).embedding.weight)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.vocab_size) == (256, 257, 300)
    read = pq.read_table(output / "raw.parquet").to_pylist()
    assert {row["path"] for row in read} >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_directory_without_a_checkpoint_and_pickled_weights_are_refused(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"no JSON or safetensors files here; set pretraining\.start"):
        import_checkpoint(str(tmp_path / "nowhere"), tmp_path / "output")
    (theirs / "model.safetensors").rename(theirs / "pytorch_model.bin")
    with pytest.raises(MissingArtifact, match="pickled weights are not supported"):
        import_checkpoint(str(theirs), tmp_path / "output")


def test_a_checkpoint_on_the_hub_is_recorded_with_its_commit_licence_and_hashes(
    theirs: Path, tmp_path: Path, hub_server: Hub
) -> None:
    files = {path.name: path.read_bytes() for path in theirs.iterdir()}
    hub_server.repositories["models/someone/llama"] = Repository(files=files | {"README.md": b"a card"}, licence="apache-2.0")
    output, local = tmp_path / "output", tmp_path / "local"
    output.mkdir()
    local.mkdir()
    figures = import_checkpoint("hf://someone/llama@main", output)
    commit = hub_server.repositories["models/someone/llama"].commit
    assert (figures["start"], figures["licence"]) == (f"hf://models/someone/llama@{commit}", "apache-2.0")
    here = import_checkpoint(str(theirs), local)
    assert figures["shape"] == here["shape"]
    assert pq.read_table(output / "raw.parquet") == pq.read_table(local / "raw.parquet")
    assert {uri.rpartition("/")[0] for uri in pq.read_table(output / "locations.parquet")["uri"].to_pylist()} == {
        figures["start"]
    }
    assert fingerprint("hf://someone/llama@main") == fingerprint(str(figures["start"]))
