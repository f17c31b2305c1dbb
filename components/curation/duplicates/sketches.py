"""The first step of deduplication: hashes each shard of texts in one pass over its bytes."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components import interim
from components.curation import tables
from components.curation.duplicates.bands import Bands
from components.curation.duplicates.config import DuplicatesConfig
from components.curation.duplicates.minhash import Sketching
from components.curation.text.draw import hash_of, hashes_of, order_of
from components.curation.text.shingles import fold_of, random
from components.files import read_json, write_json
from components.hashing import mixed
from components.machine_code import Bytes, Hashes, Numbers

BATCH = 2048
"""Documents read from a shard at a time."""

QUALITY_BITS = np.uint64(16)
"""Bits of a rank that hold the quality; the others hold the upper bits of the text's hash."""

_ORIGIN = ("domain", "language", "licence", "group")
"""Columns that distinguish copies of one text without using their ids."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextShard:
    """One table of texts, and the files that later steps derive from it."""

    number: int
    """Number among all text shards."""
    texts: Path
    """A table with the columns document, id, group and text, and optionally domain, language, licence and quality; document
    numbers ascend."""
    directory: Path
    """Directory for the derived files."""

    @property
    def heads(self) -> Path:
        """Path of its `tables.HEADS`."""
        return self.directory / f"heads{interim.SUFFIX}"

    @property
    def repeats(self) -> Path:
        """Path of its `tables.REPEATS`."""
        return self.directory / f"repeats{interim.SUFFIX}"

    @property
    def verdicts(self) -> Path:
        """Path of the `tables.VERDICTS` on its documents, which `find_duplicates` writes."""
        return self.directory / f"verdicts{interim.SUFFIX}"

    @property
    def trimmed(self) -> Path | None:
        """Path of its `tables.TRIMMED`, in the order of documents; None if no passages were searched for."""
        return self.trimmed_path if self.trimmed_path.exists() else None

    @property
    def trimmed_path(self) -> Path:
        """Path that `tables.TRIMMED` is written to, whether or not it exists."""
        return self.directory / "trimmed.parquet"


def text_shards(texts: Sequence[Path], scratch: Path) -> list[TextShard]:
    """A `TextShard` for each table, numbered in the order given, each with a directory below `scratch`."""
    return [TextShard(number=n, texts=path, directory=scratch / f"part-{n:05d}") for n, path in enumerate(texts)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketch:
    """Counts of a hashed text shard."""

    documents: int
    first: int
    """Number of its first document."""
    bytes: int
    """UTF-8 bytes of its texts."""


def sketching_of(config: DuplicatesConfig) -> Sketching:
    """The parameters for hashing the texts of a corpus, cached per process."""
    return _sketching(config.near_duplicate_threshold, config.shingle_size, config.shingle_words, config.permutations)


@functools.cache
def _sketching(threshold: float, size: int, words: str, permutations: int) -> Sketching:
    shape = Bands.of(threshold, permutations)
    return Sketching(fold=fold_of(words), factors=random(size, 2), permutations=permutations, shape=shape)


def sketch(shard: TextShard, *, config: DuplicatesConfig) -> Sketch:
    """Write the heads and `keys.npy` of a shard, or reuse those that a killed run finished."""
    finished = shard.directory / "sketch.json"
    if not finished.exists():
        shard.directory.mkdir(parents=True, exist_ok=True)
        write_json(finished, asdict(_sketch(shard, sketching_of(config))))
    return Sketch(**read_json(finished, dict, f"delete {shard.directory}"))


def _sketch(shard: TextShard, sketching: Sketching) -> Sketch:
    keys: list[Hashes] = []
    documents, first, size = 0, 0, 0
    with interim.writer(shard.heads, tables.HEADS) as heads:
        for batch in batches(shard.texts):
            if not documents:
                first = batch["document"][0].as_py()
            raw, offsets = bytes_of(batch["text"])
            keys.append(sketching.keys(raw, offsets))
            heads.write_table(_heads(batch, raw, offsets, shard.number))
            documents += batch.num_rows
            size += int(offsets[-1] - offsets[0])
    np.save(shard.directory / "keys.npy", np.concatenate(keys) if keys else np.zeros((0, sketching.shape.bands), dtype=np.uint64))
    return Sketch(documents=documents, first=first, bytes=size)


def batches(texts: Path) -> Iterator[pa.RecordBatch]:
    """The documents of a text shard, `BATCH` at a time, with the columns that deduplication uses."""
    with pq.ParquetFile(texts) as opened:
        names = ("document", "id", *_ORIGIN, "quality", "text")
        yield from opened.iter_batches(batch_size=BATCH, columns=[name for name in names if name in opened.schema_arrow.names])


def bytes_of(column: pa.Array) -> tuple[Bytes, Numbers]:
    """The UTF-8 bytes of a string column, uint8 [bytes], without a copy, and where each string starts, int64 [rows + 1]."""
    width = np.int64 if pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type) else np.int32
    _, offsets, data = column.buffers()
    starts = np.frombuffer(offsets, dtype=width)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8), starts


def _heads(batch: pa.RecordBatch, raw: Bytes, offsets: Numbers, shard: int) -> pa.Table:
    halves = hashes_of(raw, offsets)
    text, shards = halves[:, 0], np.full(batch.num_rows, shard, dtype=np.int64)
    order = [ranks_of(batch, text), ties_of(batch, text)]
    return pa.table([text, halves[:, 1], *order, batch["document"], shards, batch["id"], batch["group"]], schema=tables.HEADS)


def text_hashes(batch: pa.RecordBatch) -> Hashes:
    """`hash_of` each text, uint64 [rows]."""
    return hashes_of(*bytes_of(batch["text"]))[:, 0]


def ranks_of(batch: pa.RecordBatch, text: Hashes) -> Hashes:
    """Rank of each document, uint64 [rows]; of a cluster, the document with the lowest rank is kept.

    Higher quality, in steps of about 2^-16, gives a lower rank; equal quality is ordered by the text's hash. So neither the size,
    source or name of a document nor the order of reading matters.
    """
    tails = text >> QUALITY_BITS
    if "quality" not in batch.schema.names:
        return tails
    quality: npt.NDArray[Any] = np.nan_to_num(batch["quality"].to_numpy(zero_copy_only=False).astype(np.float64))
    steps = np.rint((1 - np.clip(quality, 0, 1)) * 0xFFFF).astype(np.uint64)
    return (steps << (np.uint64(64) - QUALITY_BITS)) | tails


def ties_of(batch: pa.RecordBatch, text: Hashes) -> Hashes:
    """Tie-breaker between copies of a text with equal rank, uint64 [rows]; the copy with the lowest value is kept.

    The upper half is a hash of the text with domain, language, licence and group, so that the corpus does not depend on where the
    copies are stored. Since the text is part of the hash, no domain always wins. The lower half is from the id; it decides only
    between copies that agree in all of these, which changes no text of the corpus.
    """
    origins = zip(*(batch[name].to_pylist() for name in _ORIGIN if name in batch.schema.names), strict=True)
    hashes = np.array([_origin_hash(origin) for origin in origins], dtype=np.uint64)
    ids = np.array([order_of(identity) for identity in batch["id"].to_pylist()], dtype=np.uint64)
    return mixed(text + hashes) >> np.uint64(32) << np.uint64(32) | ids >> np.uint64(32)


@functools.lru_cache(maxsize=4096)
def _origin_hash(origin: tuple[str, ...]) -> int:
    return hash_of("\0".join(name or "" for name in origin).encode())
