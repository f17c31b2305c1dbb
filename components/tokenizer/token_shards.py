"""Token shards: the corpus as memory-mapped arrays of ids, with tables that lead from a token back to its document."""

import functools
import hashlib
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import SPLITS, TRAIN, DomainTokens, Mixture, ShardTokens, Span, TokenIndex
from components.errors import DamagedArtifact, SourceError
from components.ports import Metrics, ShardEngine
from components.tokenizer import documents
from components.tokenizer.config import TokenShardsConfig
from components.tokenizer.text_tokenizer import TextTokenizer

if TYPE_CHECKING:
    from components.tokenizer.batch_encoder import BatchEncoder, LibraryEncoder

Tokens = npt.NDArray[np.unsignedinteger[Any]]
"""Ids: uint16 where the vocabulary allows, else uint32."""

_DOCUMENTS = pa.schema({"id": pa.string(), "shard": pa.string(), "start": pa.int64(), "tokens": pa.int64(), "bytes": pa.int64()})

_ROW_GROUP = 1 << 16
"""Documents in a row group of `documents.parquet`: a lookup reads one group, which is some megabytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shard:
    """A shard to write."""

    tokenizer: Path
    rows: documents.Rows
    split: str
    domain: str
    name: str
    """Name of the `.bin` file within its domain: `tokens-NUMBER.bin`, below `LANGUAGE/` where the domain has several portions."""
    target: Path
    """The file; the table of its documents is written beside it, with the suffix `.parquet`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardFigures:
    """What a shard holds: a row of `metrics/shards.parquet`."""

    split: str
    domain: str
    shard: str
    documents: int
    tokens: int
    bytes: int
    """UTF-8 bytes of its text."""
    min_id: int
    max_id: int
    digest: str
    """sha256 of the shard's file, in hex."""


def encode_corpus(
    config: TokenShardsConfig, *, corpus: Path, tokenizer: Path, output: Path, engine: ShardEngine, metrics: Metrics
) -> dict[str, dict[str, int]]:
    """Write every document as BOS, its text, EOS; the counts of tokens, documents and bytes by split.

    Each shard is encoded by itself in one thread: the engine works on several, and the bytes written do not depend on it.
    Ids are little-endian uint16 where the vocabulary allows, else uint32.

    Raises:
        SourceError: the corpus has no document.
    """
    planned = list(_planned(config, corpus, tokenizer, output))
    if not planned:
        raise SourceError(f"{corpus}: no document to encode; allowed: a corpus with at least one")
    for shard in planned:
        shard.target.parent.mkdir(parents=True, exist_ok=True)
    finished = functools.partial(metrics.progress, total=len(planned), unit="shards")
    shards = engine.map_shards(_encode_shard, planned, description="encode documents", finished=finished)

    # The index and the documents of each domain
    index = _index(shards, TextTokenizer.load(tokenizer))
    for split, domain in sorted({(shard.split, shard.domain) for shard in planned}):
        _join_documents(output / split / domain)
    index.write(output)
    Mixture.read(corpus).write(output)

    # Metrics
    (output / "metrics").mkdir()
    table = pa.Table.from_pylist([asdict(shard) for shard in shards])
    pq.write_table(table, output / "metrics" / "shards.parquet", compression="zstd")
    figures = {split: _totals(shard for shard in shards if shard.split == split) for split in SPLITS}
    metrics.log(0, {f"{split}/{name}": value for split, totals in figures.items() for name, value in totals.items()})
    return figures


def _planned(config: TokenShardsConfig, corpus: Path, tokenizer: Path, output: Path) -> Iterator[_Shard]:
    for split in SPLITS:
        for domain in documents.domains(corpus, split):
            for portion in documents.portions(corpus, split, domain):
                paths = documents.files(corpus, split, portion)
                runs = itertools.chain.from_iterable(documents.runs(path, config.shard_bytes) for path in paths)
                for number, rows in enumerate(runs):
                    target = output / split / portion / f"tokens-{number:05d}.bin"
                    name = target.relative_to(output / split / domain).as_posix()
                    yield _Shard(tokenizer=tokenizer, rows=rows, split=split, domain=domain, name=name, target=target)


def _encode_shard(shard: _Shard) -> ShardFigures:
    encoder, vocab_size = _encoder(shard.tokenizer)
    dtype = _little_endian(_dtype_name(vocab_size))
    digest, low, high, size, offset = hashlib.sha256(), vocab_size, 0, 0, 0
    documents_path = shard.target.with_suffix(".parquet")
    with shard.target.open("wb") as stream, pq.ParquetWriter(documents_path, _DOCUMENTS, compression="zstd") as table:
        for batch in documents.batches(shard.rows, ["id", "text", "bytes"]):
            ids, lengths = encoder.encode(batch["text"].combine_chunks())
            stream.write(data := ids.astype(dtype).tobytes())
            digest.update(data)
            low, high, size = min(low, int(ids.min())), max(high, int(ids.max())), size + sum(batch["bytes"].to_pylist())
            table.write_table(_located(batch, shard.name, lengths, offset))
            offset += len(ids)
    return ShardFigures(
        split=shard.split,
        domain=shard.domain,
        shard=shard.name,
        documents=shard.rows.stop - shard.rows.start,
        tokens=offset,
        bytes=size,
        min_id=low,
        max_id=high,
        digest=digest.hexdigest(),
    )


@functools.lru_cache(maxsize=1)
def _encoder(directory: Path) -> tuple["BatchEncoder | LibraryEncoder", int]:
    """The encoder with the size of its vocabulary, kept with its cache of pieces for all shards that a worker encodes."""
    from components.tokenizer.batch_encoder import encoder_of

    tokenizer = TextTokenizer.load(directory)
    return encoder_of(tokenizer), tokenizer.vocab_size


def _dtype_name(vocab_size: int) -> Literal["uint16", "uint32"]:
    return "uint16" if vocab_size <= 1 << 16 else "uint32"


def _little_endian(dtype: str) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")


def _located(batch: pa.Table, shard: str, lengths: npt.NDArray[np.int64], offset: int) -> pa.Table:
    """The rows of a batch for `documents.parquet`; `offset` is where the first document starts in the shard."""
    starts = np.cumsum(lengths) - lengths + offset
    columns = [batch["id"].cast(pa.string()), pa.array([shard] * len(lengths)), starts, lengths, batch["bytes"].cast(pa.int64())]
    return pa.table(columns, schema=_DOCUMENTS)


def _join_documents(directory: Path) -> None:
    """Join the tables of a domain's shards into one, with starts that count from the first token of the domain."""
    offset = 0
    with pq.ParquetWriter(directory / "documents.parquet", _DOCUMENTS, compression="zstd") as joined:
        for path in sorted(directory.rglob("tokens-*.parquet")):
            table = pq.read_table(path, schema=_DOCUMENTS)
            starts = table["start"].to_numpy() + offset
            joined.write_table(table.set_column(2, "start", pa.array(starts)), row_group_size=_ROW_GROUP)
            offset = int(starts[-1]) + table["tokens"][-1].as_py()
            path.unlink()


def _index(shards: list[ShardFigures], tokenizer: TextTokenizer) -> TokenIndex:
    splits: dict[str, dict[str, DomainTokens]] = {split: {} for split in SPLITS}
    for (split, domain), group in itertools.groupby(shards, key=lambda shard: (shard.split, shard.domain)):
        members = list(group)
        names = tuple(ShardTokens(name=shard.shard, tokens=shard.tokens) for shard in members)
        splits[split][domain] = DomainTokens(**_totals(members), shards=names, languages=_languages(members))
    return TokenIndex(dtype=_dtype_name(tokenizer.vocab_size), vocab_size=tokenizer.vocab_size, splits=splits)


def _languages(shards: list[ShardFigures]) -> dict[str, Span]:
    """The span of each language's tokens within those of the domain; nothing for a domain that is not divided by language."""
    spans: dict[str, Span] = {}
    start = 0
    for language, group in itertools.groupby(shards, key=lambda shard: shard.shard.rpartition("/")[0]):
        spans[language] = Span(start=start, tokens=sum(shard.tokens for shard in group))
        start += spans[language].tokens
    return spans if "" not in spans else {}


def _totals(shards: Iterable[ShardFigures]) -> dict[str, int]:
    members = list(shards)
    return {name: sum(getattr(shard, name) for shard in members) for name in ("tokens", "documents", "bytes")}


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentSpan:
    """Consecutive tokens of one document."""

    document: str
    """Id of the document."""
    number: int
    """Number of the document within its split and domain, from 0, in the order of the corpus."""
    start: int
    """Offset of the first token in the document, whose first token is BOS."""
    stop: int
    """Offset after the last token."""
    tokens: int
    """Tokens of the whole document, including BOS and EOS."""


@dataclass(frozen=True)
class TokenShardReader:
    """Reads token shards. Small and picklable; files are mapped into memory when they are first read."""

    directory: Path
    index: TokenIndex
    borders: dict[tuple[str, str], list[int]]
    """For each split and domain the offset of the first token of each shard, and the number of all tokens."""

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Read the index. Raises `MissingArtifact` or `DamagedArtifact`."""
        index = TokenIndex.read(directory)
        return cls(directory, index, _borders(index))

    @property
    def vocab_size(self) -> int:
        """Rows of the model's embedding; all ids are below."""
        return self.index.vocab_size

    @property
    def bos(self) -> int:
        """The id that every document starts with and that no text has: the first of all training tokens.

        An imported tokenizer (`imported`) may give it to a text that spells it out.
        """
        return int(self.window(TRAIN, self.domains(TRAIN)[0], 0, 1)[0])

    def domains(self, split: str) -> list[str]:
        """The domains of a split ("train", "validation"), sorted."""
        return sorted(self.index.splits[split])

    def token_count(self, split: str, domain: str) -> int:
        """Tokens of a domain, BOS and EOS of its documents included."""
        return self.index.splits[split][domain].tokens

    def first_token(self, split: str, domain: str, language: str) -> int:
        """The offset of the first token of a language within its domain; 0 for the whole domain, which is called ""."""
        return self.index.splits[split][domain].languages[language].start if language else 0

    def window(self, split: str, domain: str, start: int, length: int) -> Tokens:
        """The ids of tokens `start` to `start + length` of a domain, (length,) uint16 or uint32, across shards.

        A read-only view of the file where one shard holds all of them, else a copy.

        Raises:
            IndexError: the domain has no such tokens.
            DamagedArtifact: a shard's file is missing or of another size.
        """
        self._refuse_outside(split, domain, start, length)
        borders, stop = self.borders[split, domain], start + length
        pieces = []
        for shard in range(bisect_right(borders, start) - 1, bisect_left(borders, stop)):
            ids = self._shard(split, domain, shard)
            pieces.append(ids[max(0, start - borders[shard]) : stop - borders[shard]])
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0, self.index.dtype), *pieces])

    def documents_at(self, split: str, domain: str, start: int, length: int) -> list[str]:
        """Ids of the documents of tokens `start` to `start + length`, in order. Raises `IndexError` as `window` does."""
        return [span.document for span in self.spans_at(split, domain, start, length)]

    def spans_at(self, split: str, domain: str, start: int, length: int) -> list[DocumentSpan]:
        """The spans of documents in tokens `start` to `start + length`, in order. Raises `IndexError` as `window` does."""
        self._refuse_outside(split, domain, start, length)
        if length == 0:
            return []
        spans: list[DocumentSpan] = []
        with pq.ParquetFile(self._path(split, domain) / "documents.parquet") as file:
            firsts = _first_starts(file)
            for group in range(bisect_right(firsts, start) - 1, bisect_right(firsts, start + length - 1)):
                table = file.read_row_group(group, columns=["id", "start", "tokens"])
                starts, counts = table["start"].to_numpy(), table["tokens"].to_numpy()
                first = int(np.searchsorted(starts + counts, start, side="right"))
                last = int(np.searchsorted(starts, start + length, side="left"))
                before = sum(file.metadata.row_group(number).num_rows for number in range(group))
                for row, document in enumerate(table["id"].slice(first, last - first).to_pylist(), start=first):
                    offset, tokens = int(starts[row]), int(counts[row])
                    spans.append(
                        DocumentSpan(
                            document=document,
                            number=before + row,
                            start=max(start - offset, 0),
                            stop=min(start + length - offset, tokens),
                            tokens=tokens,
                        )
                    )
        return spans

    def documents(self, split: str, domain: str) -> pa.Table:
        """Every document: id str, shard str, start int64 (offset in the domain's tokens), tokens int64, bytes int64."""
        return pq.read_table(self._path(split, domain) / "documents.parquet", schema=_DOCUMENTS)

    def _path(self, split: str, domain: str) -> Path:
        return self.directory / split / domain

    def _shard(self, split: str, domain: str, number: int) -> Tokens:
        shard = self.index.splits[split][domain].shards[number]
        return _mapped(self._path(split, domain) / shard.name, self.index.dtype, shard.tokens)

    def _refuse_outside(self, split: str, domain: str, start: int, length: int) -> None:
        count = self.token_count(split, domain)
        if start < 0 or length < 0 or start + length > count:
            raise IndexError(f"tokens {start} to {start + length} of {split}/{domain}; allowed: 0 to {count}")


def _borders(index: TokenIndex) -> dict[tuple[str, str], list[int]]:
    return {
        (split, domain): list(itertools.accumulate((shard.tokens for shard in content.shards), initial=0))
        for split, contents in index.splits.items()
        for domain, content in contents.items()
    }


@functools.lru_cache(maxsize=512)
def _mapped(path: Path, dtype: str, tokens: int) -> Tokens:
    """The ids of a shard. The cache is smaller than a process's limit on open files (1 024 by default)."""
    little_endian = _little_endian(dtype)
    size = path.stat().st_size if path.is_file() else 0
    if size != tokens * little_endian.itemsize:
        raise DamagedArtifact(f"{path}: {size} bytes for {tokens} tokens of {dtype}; run the step token_shards again")
    return np.memmap(path, dtype=little_endian, mode="r")


def _first_starts(file: pq.ParquetFile) -> list[int]:
    """The offset of the first token of each row group, from the statistics of the file."""
    column = _DOCUMENTS.get_field_index("start")
    groups = range(file.num_row_groups)
    return [int(file.metadata.row_group(group).column(column).statistics.min) for group in groups]
