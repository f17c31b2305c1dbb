"""Tokenizers that come with checkpoints of others."""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from components.errors import ConfigError, DamagedArtifact, MissingArtifact
from components.tokenizer.imported import import_tokenizer
from components.tokenizer.special_tokens import TOKENIZER_FILES
from components.tokenizer.text_tokenizer import TextTokenizer

TEXTS = ["def main():\n    return 1\n", "  leading and trailing  ", "数学 naïve 😀", "<|end|> written out"]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """What a checkpoint has of a tokenizer: byte-level BPE with the control tokens after 300 regular ones, as LLaMA 3's."""
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    library.train_from_iterator(TEXTS * 50, trainer)
    library.add_special_tokens(["<|begin|>", "<|end|>", "<|pad|>"])
    directory = tmp_path / "checkpoint"
    directory.mkdir()
    library.enable_truncation(4)
    library.save(str(directory / "tokenizer.json"))
    bos, eos = (library.token_to_id(token) for token in ("<|begin|>", "<|end|>"))
    write(directory, "config.json", {"vocab_size": 512, "bos_token_id": bos, "eos_token_id": [eos, 5]})
    write(directory, "tokenizer_config.json", {"pad_token": {"content": "<|pad|>"}, "auto_map": {"AutoTokenizer": "code.py"}})
    return directory


def write(directory: Path, name: str, content: dict[str, Any]) -> None:
    (directory / name).write_text(json.dumps(content))


def imported(checkpoint: Path, tmp_path: Path) -> TextTokenizer:
    output = tmp_path / "output"
    output.mkdir(exist_ok=True)
    import_tokenizer(checkpoint, output)
    assert sorted(path.name for path in output.iterdir()) == sorted(TOKENIZER_FILES)
    return TextTokenizer.load(output)


def test_text_comes_back_and_control_ids_are_out_of_its_reach(checkpoint: Path, tmp_path: Path) -> None:
    ours = imported(checkpoint, tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    assert (ours.bos_id, ours.eos_id, ours.pad_id) == tuple(theirs.token_to_id(f"<|{word}|>") for word in ("begin", "end", "pad"))
    assert (ours.vocab_size, ours.regular_tokens) == (512, ours.bos_id)
    for text in TEXTS:
        ids = ours.encode(text)
        assert ours.decode(ids) == text
        assert max(ids) < ours.regular_tokens


def test_transformers_reads_what_was_imported_with_the_chat_format_that_sft_teaches(checkpoint: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    ours = imported(checkpoint, tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path / "output")
    assert (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id) == (ours.bos_id, ours.eos_id, ours.pad_id)
    rendered = theirs.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True)
    assert rendered == "<|begin|>User: hi\n\nAssistant:"
    assert "auto_map" not in (tmp_path / "output" / "tokenizer_config.json").read_text()


def test_without_padding_the_end_stands_in_and_names_stand_in_for_ids(checkpoint: Path, tmp_path: Path) -> None:
    write(checkpoint, "config.json", {"vocab_size": 512})
    write(checkpoint, "tokenizer_config.json", {"bos_token": "<|begin|>", "eos_token": "<|end|>"})
    ours = imported(checkpoint, tmp_path)
    assert ours.pad_id == ours.eos_id


def test_a_checkpoint_of_ours_keeps_its_files(checkpoint: Path, tmp_path: Path) -> None:
    imported(checkpoint, tmp_path)
    again = tmp_path / "again"
    again.mkdir()
    import_tokenizer(tmp_path / "output", again)
    assert all((again / name).read_bytes() == (tmp_path / "output" / name).read_bytes() for name in TOKENIZER_FILES)


def test_what_is_missing_is_named(checkpoint: Path, tmp_path: Path) -> None:
    write(checkpoint, "config.json", {"vocab_size": 512, "eos_token_id": 1})
    with pytest.raises(ConfigError, match="no bos_token_id in config"):
        imported(checkpoint, tmp_path)
    write(checkpoint, "config.json", {"vocab_size": 200, "bos_token_id": 1, "eos_token_id": 2})
    with pytest.raises(ConfigError, match=r"ids up to \d+, the model's embedding has 200 rows"):
        imported(checkpoint, tmp_path)
    (checkpoint / "tokenizer.json").write_text("{")
    with pytest.raises(DamagedArtifact, match="not a tokenizer"):
        imported(checkpoint, tmp_path)
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(MissingArtifact, match=r"tokenizer\.json: missing; a checkpoint brings its tokenizer"):
        imported(checkpoint, tmp_path)
