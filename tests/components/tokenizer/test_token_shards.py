"""Token shards: writing them, and reading windows of them."""

import dataclasses
import json
import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import sha256_of_file
from components.errors import DamagedArtifact, MissingArtifact, SourceError
from components.ports import InProcessShardEngine, RecordedMetrics, SilentMetrics
from components.ports.shard_engine import ignore
from components.tokenizer.config import TokenShardsConfig
from components.tokenizer.special_tokens import SpecialTokens
from components.tokenizer.text_tokenizer import TextTokenizer
from components.tokenizer.token_shards import TokenShardReader, encode_corpus

Shard = TypeVar("Shard")
Result = TypeVar("Result")


class ProcessPoolEngine(InProcessShardEngine):
    """Shards in two fresh processes, handed out from the last to the first."""

    def map_shards(
        self,
        work: Callable[[Shard], Result],
        shards: Sequence[Shard],
        *,
        description: str,
        finished: Callable[[int], None] = ignore,
    ) -> list[Result]:
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            return list(pool.map(work, reversed(shards)))[::-1]


def encode(corpus: Path, tokenizer: Path, output: Path, *, shard_bytes: int = 60_000, **others: Any) -> dict[str, Any]:
    config = TokenShardsConfig(shard_bytes=shard_bytes)
    given: dict[str, Any] = {"engine": InProcessShardEngine(), "metrics": SilentMetrics(), **others}
    return encode_corpus(config, corpus=corpus, tokenizer=tokenizer, output=output, **given)


@pytest.fixture(scope="module")
def shards(corpus: Path, tokenizer_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("shards")
    encode(corpus, tokenizer_directory, output)
    return output


@pytest.fixture(scope="module")
def reader(shards: Path) -> TokenShardReader:
    return TokenShardReader.open(shards)


def texts(corpus: Path, split: str, domain: str) -> dict[str, str]:
    paths = sorted((corpus / "documents" / split / domain).iterdir())
    return {row["id"]: row["text"] for path in paths for row in pq.read_table(path).to_pylist()}


def expected(corpus: Path, tokenizer: TextTokenizer, split: str, domain: str) -> tuple[list[int], list[str]]:
    """Every token of a domain, and the document that it is of, worked out one by one."""
    ids, owners = [], []
    for document, text in sorted(texts(corpus, split, domain).items()):
        piece = [tokenizer.bos_id, *tokenizer.encode(text), tokenizer.eos_id]
        ids += piece
        owners += [document] * len(piece)
    return ids, owners


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("domain", ["code", "prose", "chinese"])
def test_every_document_is_there_between_its_marks(
    corpus: Path, tokenizer: TextTokenizer, reader: TokenShardReader, split: str, domain: str
) -> None:
    ids, _ = expected(corpus, tokenizer, split, domain)
    assert reader.token_count(split, domain) == len(ids)
    assert reader.window(split, domain, 0, len(ids)).tolist() == ids


def test_a_document_is_found_by_its_row(corpus: Path, tokenizer: TextTokenizer, reader: TokenShardReader) -> None:
    for row in reader.documents("train", "code").to_pylist():
        ids = reader.window("train", "code", row["start"], row["tokens"])
        assert tokenizer.decode(ids.tolist()) == texts(corpus, "train", "code")[row["id"]]
        assert row["bytes"] == len(texts(corpus, "train", "code")[row["id"]].encode())


@pytest.fixture(scope="module")
def counted(corpus: Path, tokenizer: TextTokenizer) -> tuple[list[int], list[str]]:
    return expected(corpus, tokenizer, "train", "code")


@given(data=st.data())
def test_windows_and_their_documents_agree_with_counting_one_by_one(
    reader: TokenShardReader, counted: tuple[list[int], list[str]], data: st.DataObject
) -> None:
    ids, owners = counted
    borders = reader.borders["train", "code"]
    near = st.sampled_from(borders).flatmap(lambda border: st.integers(max(0, border - 3), min(len(ids), border + 3)))
    start, stop = sorted(data.draw(st.tuples(near | st.integers(0, len(ids)), near | st.integers(0, len(ids)))))
    assert reader.window("train", "code", start, stop - start).tolist() == ids[start:stop]
    assert reader.documents_at("train", "code", start, stop - start) == list(dict.fromkeys(owners[start:stop]))


def test_documents_are_found_over_row_groups_of_the_index(new_corpus: Any, tokenizer_directory: Path, tmp_path: Path) -> None:
    new_corpus.documents("train", "digits", [f"{number:02d}" for number in range(9)])
    new_corpus.mixture({"digits": 1.0})
    encode(new_corpus.directory, tokenizer_directory, tmp_path / "out", shard_bytes=5)
    reader = TokenShardReader.open(tmp_path / "out")
    documents = reader.documents("train", "digits")["id"].to_pylist()
    assert pq.read_metadata(tmp_path / "out" / "train" / "digits" / "documents.parquet").num_row_groups > 3
    for start in range(36):
        for stop in range(start + 1, 37):
            assert reader.documents_at("train", "digits", start, stop - start) == documents[start // 4 : (stop + 3) // 4]


@pytest.mark.long
def test_the_bytes_do_not_depend_on_the_workers(corpus: Path, tokenizer_directory: Path, shards: Path, tmp_path: Path) -> None:
    encode(corpus, tokenizer_directory, tmp_path, engine=ProcessPoolEngine())
    names = sorted(str(path.relative_to(shards)) for path in shards.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert all(sha256_of_file(shards / name) == sha256_of_file(tmp_path / name) for name in names)
    assert all(name.startswith(("train/", "validation/", "index", "mixture", "metrics/shards")) for name in names)


def test_the_size_of_shards_changes_no_token(
    corpus: Path, tokenizer_directory: Path, reader: TokenShardReader, tmp_path: Path
) -> None:
    encode(corpus, tokenizer_directory, tmp_path, shard_bytes=1 << 30)
    whole = TokenShardReader.open(tmp_path)
    count = reader.token_count("train", "code")
    assert len(reader.index.splits["train"]["code"].shards) > len(whole.index.splits["train"]["code"].shards)
    assert np.array_equal(whole.window("train", "code", 0, count), reader.window("train", "code", 0, count))


def test_the_index_the_metrics_and_the_files_agree(shards: Path, corpus: Path) -> None:
    index = json.loads((shards / "index.json").read_text())
    rows = pq.read_table(shards / "metrics" / "shards.parquet").to_pylist()
    assert (index["dtype"], index["vocab_size"]) == ("uint16", 768)
    for row in rows:
        file = shards / row["split"] / row["domain"] / row["shard"]
        assert sha256_of_file(file) == row["digest"]
        ids = np.fromfile(file, dtype="<u2")
        assert (len(ids), ids.min(), ids.max()) == (row["tokens"], row["min_id"], row["max_id"])
        assert {"name": row["shard"], "tokens": row["tokens"]} in index["splits"][row["split"]][row["domain"]]["shards"]
    for split, domains in index["splits"].items():
        for domain, counts in domains.items():
            own = [row for row in rows if (row["split"], row["domain"]) == (split, domain)]
            assert {name: sum(row[name] for row in own) for name in ("tokens", "documents", "bytes")} == {
                name: counts[name] for name in ("tokens", "documents", "bytes")
            }
    assert (shards / "mixture.json").read_bytes() == (corpus / "mixture.json").read_bytes()


def test_figures_are_the_totals_of_each_split(corpus: Path, tokenizer_directory: Path, tmp_path: Path) -> None:
    metrics = RecordedMetrics()
    figures = encode(corpus, tokenizer_directory, tmp_path, metrics=metrics)
    reader = TokenShardReader.open(tmp_path)
    assert figures["train"]["tokens"] == sum(reader.token_count("train", domain) for domain in reader.domains("train"))
    assert metrics.values[0]["validation/documents"] == figures["validation"]["documents"] > 0
    shards = pq.read_metadata(tmp_path / "metrics" / "shards.parquet").num_rows
    assert metrics.seen == [(number, shards, "shards") for number in range(1, shards + 1)]


def test_a_large_vocabulary_is_written_in_four_bytes(new_corpus: Any, tokenizer_directory: Path, tmp_path: Path) -> None:
    for path in tokenizer_directory.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    dataclasses.replace(SpecialTokens.read(tmp_path), vocab_size=65_537).write(tmp_path)
    new_corpus.documents("train", "prose", ["abc"])
    new_corpus.mixture({"prose": 1.0})
    encode(new_corpus.directory, tmp_path, tmp_path / "out")
    window = TokenShardReader.open(tmp_path / "out").window("train", "prose", 0, 2)
    assert window.dtype == np.uint32
    assert window[0] == SpecialTokens.read(tmp_path).bos


def test_an_empty_document_is_its_two_marks(new_corpus: Any, tokenizer_directory: Path, tmp_path: Path) -> None:
    new_corpus.documents("train", "prose", [""])
    new_corpus.documents("validation", "prose", [])
    new_corpus.mixture({"prose": 1.0})
    encode(new_corpus.directory, tokenizer_directory, tmp_path / "out")
    reader = TokenShardReader.open(tmp_path / "out")
    assert reader.window("train", "prose", 0, 2).tolist() == [700, 701]
    assert reader.domains("validation") == []


def test_a_corpus_without_documents_is_refused(new_corpus: Any, tokenizer_directory: Path, tmp_path: Path) -> None:
    new_corpus.documents("train", "prose", [])
    with pytest.raises(SourceError, match="no document to encode"):
        encode(new_corpus.directory, tokenizer_directory, tmp_path)


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, -1), (0, 10**9), (10**9, 0)])
def test_tokens_that_do_not_exist_are_refused(reader: TokenShardReader, start: int, length: int) -> None:
    for method in (reader.window, reader.documents_at):
        with pytest.raises(IndexError, match="of train/prose; allowed: 0 to"):
            method("train", "prose", start, length)


def test_a_reader_travels_to_other_processes(reader: TokenShardReader) -> None:
    reader.window("train", "prose", 0, 10)
    sent = pickle.dumps(reader)
    assert len(sent) < 10_000
    assert pickle.loads(sent).window("train", "prose", 3, 4).tolist() == reader.window("train", "prose", 3, 4).tolist()


def test_windows_inside_a_shard_are_views_that_cannot_be_written(reader: TokenShardReader) -> None:
    with pytest.raises(ValueError, match="read-only"):
        reader.window("train", "prose", 0, 10)[0] = 1


def test_a_shard_cut_short_is_named(new_corpus: Any, tokenizer_directory: Path, tmp_path: Path) -> None:
    new_corpus.documents("train", "prose", ["abc"])
    new_corpus.mixture({"prose": 1.0})
    encode(new_corpus.directory, tokenizer_directory, tmp_path / "out")
    file = tmp_path / "out" / "train" / "prose" / "tokens-00000.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DamagedArtifact, match=r"tokens-00000\.bin: \d+ bytes for \d+ tokens of uint16"):
        TokenShardReader.open(tmp_path / "out").window("train", "prose", 0, 1)


@pytest.mark.parametrize(("content", "error"), [(None, MissingArtifact), ("{", DamagedArtifact), ("[]", DamagedArtifact)])
def test_a_directory_that_holds_no_token_shards_is_named(tmp_path: Path, content: str | None, error: type[Exception]) -> None:
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    with pytest.raises(error, match=r"index\.json"):
        TokenShardReader.open(tmp_path)


@pytest.fixture
def languages(new_corpus: Any, tokenizer_directory: Path, tmp_path: Path) -> Path:
    """Token shards of a domain in two languages, held out together."""
    new_corpus.documents("train", "web/zh", [f"大学之道{number}" for number in range(6)])
    new_corpus.documents("train", "web/en", [f"the way of learning {number}" for number in range(9)])
    new_corpus.documents("validation", "web", ["明明德", "virtue"])
    new_corpus.mixture({"web": 1.0}, {"web": {"en": 0.5, "zh": 0.5}})
    encode(new_corpus.directory, tokenizer_directory, tmp_path / "out", shard_bytes=60)
    return tmp_path / "out"


def test_the_languages_of_a_domain_lie_one_after_the_other_among_its_tokens(
    languages: Path, tokenizer: TextTokenizer, new_corpus: Any
) -> None:
    reader = TokenShardReader.open(languages)
    train, held_out = (reader.index.splits[split]["web"] for split in ("train", "validation"))
    assert held_out.languages == {}
    assert sum(span.tokens for span in train.languages.values()) == train.tokens == reader.token_count("train", "web")
    for language, span in train.languages.items():
        ids, owners = expected(new_corpus.directory, tokenizer, "train", f"web/{language}")
        first = reader.first_token("train", "web", language)
        assert reader.window("train", "web", first, span.tokens).tolist() == ids
        assert reader.documents_at("train", "web", first, span.tokens) == list(dict.fromkeys(owners))
    assert reader.first_token("train", "web", "") == 0


def test_the_shards_of_a_language_lie_in_its_folder(languages: Path) -> None:
    rows = pq.read_table(languages / "metrics" / "shards.parquet", partitioning=None).to_pylist()
    assert all((languages / row["split"] / row["domain"] / row["shard"]).is_file() for row in rows)
    assert {row["shard"].rpartition("/")[0] for row in rows if row["split"] == "train"} == {"en", "zh"}


def test_a_domain_without_language_shares_has_none_in_the_index(reader: TokenShardReader) -> None:
    assert not any(held.languages for held in reader.index.splits["train"].values())
    assert '"languages"' not in reader.index.to_json()
