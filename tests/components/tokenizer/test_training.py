"""Training the tokenizer, and the files it leaves."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.artifacts import sha256_of_file
from components.errors import ConfigError, MissingArtifact, SourceError
from components.ports import RecordedMetrics, SilentMetrics
from components.raw_files import LOCATIONS, RAW, read_raw
from components.tokenizer.config import TokenizerConfig
from components.tokenizer.special_tokens import TOKENIZER_FILES, names
from components.tokenizer.text_tokenizer import TextTokenizer
from components.tokenizer.training import reuse_tokenizer, train_tokenizer

CONFIG = TokenizerConfig(regular_tokens=400, vocab_multiple=64, sample_bytes=60_000)


def digests(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): sha256_of_file(path) for path in directory.rglob("*") if path.is_file()}


@pytest.mark.long
def test_the_same_bytes_come_out_whatever_the_number_of_threads(corpus: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from components.ports import SilentMetrics;"
        "from components.tokenizer.config import TokenizerConfig; from components.tokenizer.training import train_tokenizer;"
        f"train_tokenizer({CONFIG!r}, corpus=Path(sys.argv[1]), output=Path(sys.argv[2]), metrics=SilentMetrics())"
    )
    by_threads = []
    for threads in ("1", "3"):
        output = tmp_path / threads
        output.mkdir()
        environment = {**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONPATH": str(Path.cwd()), "PYTHONHASHSEED": threads}
        subprocess.run([sys.executable, "-c", code, str(corpus), str(output)], check=True, env=environment)
        by_threads.append(digests(output))
    assert by_threads[0] == by_threads[1]
    assert by_threads[0].keys() == {"tokenizer.json", "tokenizer_config.json", "special_tokens.json", "metrics/fertility.parquet"}


def test_the_vocabulary_is_as_large_as_asked_with_special_tokens_last(tokenizer_directory: Path) -> None:
    vocabulary = json.loads((tokenizer_directory / "tokenizer.json").read_text())
    assert sorted(vocabulary["model"]["vocab"].values()) == list(range(700))
    assert [(t["id"], t["content"]) for t in vocabulary["added_tokens"]] == list(enumerate(names(15), start=700))
    special = json.loads((tokenizer_directory / "special_tokens.json").read_text())
    assert special == {"bos": 700, "eos": 701, "pad": 702, "vocab_size": 768, "regular_tokens": 700}


def test_training_merges_what_is_frequent(tokenizer: TextTokenizer) -> None:
    assert len(tokenizer.encode(" self")) == len(tokenizer.encode("    ")) == 1


def test_figures_and_metrics_tell_the_fertility_of_each_domain(corpus: Path, tmp_path: Path) -> None:
    metrics = RecordedMetrics()
    figures = train_tokenizer(CONFIG, corpus=corpus, output=tmp_path, metrics=metrics)
    table = pq.read_table(tmp_path / "metrics" / "fertility.parquet")
    assert table["domain"].to_pylist() == ["chinese", "code", "prose"] == list(figures["tokens_per_byte"])
    assert table["round_trip_failures"].to_pylist() == [0, 0, 0]
    assert all(0.1 < value <= 1 for value in table["tokens_per_byte"].to_pylist())
    assert figures["sample_bytes"] == 60_000
    assert figures["pre_tokenizer"] == "longrun"
    assert metrics.seen[-1] == (60_000, 60_000, "bytes")
    assert metrics.values[0]["tokens_per_byte/code"] == table["tokens_per_byte"][1].as_py()


def test_a_vocabulary_larger_than_the_data_supports_is_refused_with_what_it_supports(new_corpus: Any, tmp_path: Path) -> None:
    new_corpus.documents("train", "prose", ["abab cdcd", "abab cd"])
    new_corpus.mixture({"prose": 1.0})
    too_large = TokenizerConfig(regular_tokens=100_000)
    message = r"TokenizerConfig\.regular_tokens is 100000; allowed: at most \d+, as 16 bytes"
    with pytest.raises(ConfigError, match=message) as refusal:
        train_tokenizer(too_large, corpus=new_corpus.directory, output=tmp_path, metrics=SilentMetrics())
    supported = re.search(r"at most (\d+)", str(refusal.value))
    assert supported
    fitting = dataclasses.replace(too_large, regular_tokens=int(supported[1]))
    train_tokenizer(fitting, corpus=new_corpus.directory, output=tmp_path, metrics=SilentMetrics())
    assert TextTokenizer.load(tmp_path).regular_tokens == int(supported[1]) > 256


def test_a_corpus_without_training_text_is_refused(new_corpus: Any, tmp_path: Path) -> None:
    new_corpus.mixture({"prose": 0.5, "code": 0.5})
    new_corpus.documents("train", "prose", [])
    with pytest.raises(SourceError, match="no training text in the domains code, prose"):
        train_tokenizer(CONFIG, corpus=new_corpus.directory, output=tmp_path, metrics=SilentMetrics())


@pytest.mark.parametrize("beside_a_model", [False, True])
def test_transformers_loads_the_directory_with_the_same_ids(
    tokenizer: TextTokenizer, tokenizer_directory: Path, tmp_path: Path, beside_a_model: bool
) -> None:
    from transformers import AutoTokenizer

    for path in tokenizer_directory.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if beside_a_model:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    loaded: Any = AutoTokenizer.from_pretrained(tmp_path)
    text = "def f(x):\n    return x + 12  # 中文 it's\r\n"
    assert loaded.is_fast
    assert loaded(text)["input_ids"] == [tokenizer.bos_id, *tokenizer.encode(text)]
    assert loaded.decode(tokenizer.encode(text)) == text
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id) == (700, 701, 702)
    assert sorted(loaded.all_special_ids) == list(range(700, 715))
    spelled = "a<｜end▁of▁sentence｜>"
    assert loaded(spelled, add_special_tokens=False, split_special_tokens=True)["input_ids"] == tokenizer.encode(spelled)


def test_languages_with_shares_are_drawn_in_them(new_corpus: Any, tmp_path: Path) -> None:
    new_corpus.documents("train", "web/en", [f"the way of learning {number}" for number in range(400)])
    new_corpus.documents("train", "web/zh", [f"大学之道在明明德{number}" for number in range(400)])
    new_corpus.mixture({"web": 1.0}, {"web": {"en": 0.1, "zh": 0.9}})
    config = TokenizerConfig(regular_tokens=270, sample_bytes=4000)
    train_tokenizer(config, corpus=new_corpus.directory, output=tmp_path, metrics=SilentMetrics())
    tokenizer = TextTokenizer.load(tmp_path)
    assert len(tokenizer.encode("大学之道在明明德")) < 10 < len(tokenizer.encode("the way of learning"))


def adopted(start: Path, corpus: Path, output: Path, **others: Any) -> Any:
    output.mkdir()
    config = TokenizerConfig(start=str(start), **others)
    return reuse_tokenizer(config, corpus=corpus, output=output, metrics=SilentMetrics())


def test_a_tokenizer_of_ours_is_taken_as_it_is_and_its_files_are_recorded(
    corpus: Path, tokenizer_directory: Path, tmp_path: Path
) -> None:
    figures = adopted(tokenizer_directory, corpus, tmp_path / "output")
    assert all((tmp_path / "output" / name).read_bytes() == (tokenizer_directory / name).read_bytes() for name in TOKENIZER_FILES)
    assert (figures["vocab_size"], figures["pre_tokenizer"], figures["round_trip_failures"]) == (768, "longrun", 0)
    assert figures["tokens_per_byte"].keys() == {"chinese", "code", "prose"}
    records = read_raw((tmp_path / "output" / RAW).read_bytes(), (tmp_path / "output" / LOCATIONS).read_bytes())
    assert {(record.path, record.sha256, record.uri) for record in records} == {
        (name, sha256_of_file(path), str(path)) for name in TOKENIZER_FILES for path in [tokenizer_directory / name]
    }


def test_a_tokenizer_of_another_make_is_taken_with_a_padded_vocabulary(
    corpus: Path, tokenizer_directory: Path, tmp_path: Path
) -> None:
    start = tmp_path / "start"
    start.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (start / name).write_bytes((tokenizer_directory / name).read_bytes())
    assert adopted(start, corpus, tmp_path / "output", vocab_multiple=500)["vocab_size"] == 1000
    text = "def f(x):\n    return x + 12  # 中文 it's\r\n"
    ours, theirs = (TextTokenizer.load(directory) for directory in (tmp_path / "output", tokenizer_directory))
    assert (ours.encode(text), ours.bos_id, ours.eos_id) == (theirs.encode(text), theirs.bos_id, theirs.eos_id)


def test_a_directory_without_a_tokenizer_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"no tokenizer\.json here; tokenizer\.start names the directory"):
        adopted(tmp_path / "nothing", corpus, tmp_path / "output")


def test_the_checkpoint_where_training_starts_brings_its_tokenizer(
    corpus: Path, tokenizer_directory: Path, tmp_path: Path
) -> None:
    reuse_tokenizer(CONFIG, start=tokenizer_directory, corpus=corpus, output=tmp_path, metrics=SilentMetrics())
    assert TextTokenizer.load(tmp_path).vocab_size == 768
    assert not (tmp_path / RAW).exists()
