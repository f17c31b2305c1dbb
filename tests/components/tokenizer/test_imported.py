"""Tokenizers that come with checkpoints of others."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.errors import ConfigError, DamagedArtifact, MissingArtifact
from components.tokenizer.batch_encoder import encoder_of
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


def test_without_a_size_in_config_json_the_vocabulary_is_padded_or_refused(checkpoint: Path, tmp_path: Path) -> None:
    write(checkpoint, "config.json", {"bos_token_id": 300, "eos_token_id": 301})
    with pytest.raises(ConfigError, match=r"no vocab_size in config\.json"):
        imported(checkpoint, tmp_path)
    import_tokenizer(checkpoint, tmp_path / "output", lambda ids: ids + 9)
    assert TextTokenizer.load(tmp_path / "output").vocab_size == 303 + 9


def test_a_tokenizer_of_ours_that_lacks_a_file_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    imported(checkpoint, tmp_path)
    (tmp_path / "output" / "tokenizer_config.json").unlink()
    with pytest.raises(MissingArtifact, match=r"tokenizer_config\.json: missing"):
        import_tokenizer(tmp_path / "output", checkpoint)


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


BPE_BYTES = {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}


def byte_level_bpe(*added: tokenizers.AddedToken, merged: str = "") -> tokenizers.Tokenizer:
    """Byte-level BPE with these tokens added, and a chain of merges that gives `merged`."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    steps = [merged[:end] for end in range(2, len(merged) + 1)]
    merges = [(step[:-1], step[-1]) for step in steps]
    vocabulary = {piece: number for number, piece in enumerate([*alphabet, *steps])}
    library = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=merges))
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    library.add_tokens(list(added))
    return library


def unigram(*, special: bool, byte_fallback: bool = True) -> tokenizers.Tokenizer:
    """As SentencePiece's unigram models are converted: the control tokens are pieces of the vocabulary."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((name, -20.0) for name in BPE_BYTES if byte_fallback)]
    pieces += [(piece, -3.0 - number / 10) for number, piece in enumerate("▁ab</s>.\n\t()")]
    library = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, unk_id=0, byte_fallback=byte_fallback))
    library.normalizer = tokenizers.normalizers.NFKC()
    library.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="first")
    decoders = tokenizers.decoders
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    library.decoder = decoders.Sequence(steps)
    if special:
        library.add_special_tokens(["<unk>", "<s>", "</s>"])
    return library


def with_files(library: tokenizers.Tokenizer, directory: Path, **control: int | str) -> Path:
    """A checkpoint with this tokenizer; ids go to `config.json`, names to `tokenizer_config.json`."""
    directory.mkdir()
    library.save(str(directory / "tokenizer.json"))
    write(directory, "config.json", {"vocab_size": 512, **{k: v for k, v in control.items() if isinstance(v, int)}})
    write(directory, "tokenizer_config.json", {k: v for k, v in control.items() if isinstance(v, str)})
    return directory


HOSTILE = ["", " ", "\n", "\t", "  ", "a", "b", ".", "<", ">", "(", "\u3000", "é", "🦜"]


def control_ids_in(tokenizer: TextTokenizer, texts: list[str]) -> set[int]:
    """Control ids among those of texts, encoded as prompts are and as documents are, whose first and last are put by code."""
    documents, counts = encoder_of(tokenizer).encode(pa.array(texts, pa.string()))
    starts = [sum(counts[:number]) for number in range(len(texts))]
    inside = {int(i) for start, count in zip(starts, counts, strict=True) for i in documents[start + 1 : start + count - 1]}
    said = {i for text in texts for i in tokenizer.encode(text)}
    return (inside | said) & {tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id}


KINDS = {
    "added tokens that are not special": (
        lambda: byte_level_bpe(*(tokenizers.AddedToken(name, special=False, normalized=False) for name in ("<bos>", "<eos>"))),
        {"bos_token": "<bos>", "eos_token": "<eos>"},
        ("<bos>", "<eos>"),
    ),
    "a vocabulary of pieces that holds special tokens": (
        lambda: unigram(special=True),
        {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>"},
        ("<s>", "</s>", "<unk>", "＜/s＞"),
    ),
    "a vocabulary of pieces whose control tokens config.json alone names": (
        lambda: unigram(special=False),
        {"bos_token_id": 1, "eos_token_id": 2},
        ("<s>", "</s>", "＜/s＞"),
    ),
    "merges that end in a special token": (
        lambda: byte_level_bpe(tokenizers.AddedToken("<bos>", special=True), merged="<eos>"),
        {"bos_token": "<bos>", "eos_token": "<eos>"},
        ("<bos>", "<eos>"),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors], max_examples=50)
@given(data=st.data())
def test_control_tokens_written_out_in_a_text_stay_text(kind: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    library, control, names = KINDS[kind]
    directory = tmp_path_factory.mktemp("imported")
    tokenizer = imported(with_files(library(), directory / "checkpoint", **control), directory)
    fragments = st.lists(st.sampled_from([*names, *HOSTILE]), max_size=8).map("".join)
    texts = [around.format(name) for name in names for around in ("{}", "a {} b", " {}", "{}\n", "{0}{0}", "\n{}", "<{}>")]
    assert control_ids_in(tokenizer, [*texts, *data.draw(st.lists(fragments, max_size=5))]) == set()
    assert tokenizer.decode(tokenizer.encode(f"a {names[1]} b")) == f"a {names[1]} b"
    assert tokenizer.decode([tokenizer.bos_id, *tokenizer.encode("a"), tokenizer.eos_id, tokenizer.pad_id]) == "a"


def test_texts_without_a_control_token_keep_the_ids_of_the_checkpoint(tmp_path: Path) -> None:
    theirs = unigram(special=True)
    checkpoint = with_files(theirs, tmp_path / "checkpoint", bos_token="<s>", eos_token="</s>")
    ours = imported(checkpoint, tmp_path)
    for text in ("a b", "<s", "s> /s>", "aé b\n", " <a> </b>"):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids


def test_an_end_that_was_not_special_is_no_id_of_text(tmp_path: Path) -> None:
    library, control, _ = KINDS["added tokens that are not special"]
    ours = imported(with_files(library(), tmp_path / "checkpoint", **control), tmp_path)
    assert ours.regular_tokens == ours.bos_id == 256


@pytest.mark.parametrize(
    ("library", "control", "message"),
    [
        (unigram(special=True, byte_fallback=False), {"pad_token": "<unk>"}, r"id 0 of the pad token '<unk>'"),
        (unigram(special=True), {"pad_token": "a"}, r"the text .* of the pad token 'a'.*two or more characters"),
    ],
)
def test_a_control_token_that_text_cannot_be_kept_from_is_refused(
    library: tokenizers.Tokenizer, control: dict[str, str], message: str, tmp_path: Path
) -> None:
    checkpoint = with_files(library, tmp_path / "checkpoint", bos_token="<s>", eos_token="</s>", **control)
    with pytest.raises(ConfigError, match=message):
        imported(checkpoint, tmp_path)


def test_a_checkpoint_in_our_files_is_refused_where_text_reaches_a_control_id(tmp_path: Path) -> None:
    checkpoint = with_files(unigram(special=True), tmp_path / "checkpoint")
    control = {"bos": 1, "eos": 2, "pad": 2, "vocab_size": 512, "regular_tokens": 300}
    write(checkpoint, "special_tokens.json", control)
    with pytest.raises(ConfigError, match="the text '<s>' is encoded with the id 1 of the bos token"):
        imported(checkpoint, tmp_path)
