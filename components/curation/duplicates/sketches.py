"""The first step of deduplication: each shard of texts hashed, in one pass over its bytes."""

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
"""Of a rank; the others are of the text's hash."""

_ORIGIN = ("domain", "language", "licence", "group")
"""What tells copies of one text apart without their names: where they would lie in the corpus, and under which terms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextShard:
    """One table of texts with what is made of it: verdicts on its documents, and what is left of those that were trimmed."""

    number: int
    texts: Path
    """A table with the columns document, id, group and text, and possibly domain, language, licence and quality; documents are
    numbered in its order."""
    directory: Path

    @property
    def heads(self) -> Path:
        """Its `tables.HEADS`."""
        return self.directory / f"heads{interim.SUFFIX}"

    @property
    def repeats(self) -> Path:
        """Its `tables.REPEATS`."""
        return self.directory / f"repeats{interim.SUFFIX}"

    @property
    def verdicts(self) -> Path:
        """The `tables.VERDICTS` on its documents, once `find_duplicates` has judged them."""
        return self.directory / f"verdicts{interim.SUFFIX}"

    @property
    def trimmed(self) -> Path | None:
        """Its `tables.TRIMMED`, in the order of documents; None where no passages were looked for."""
        return self.trimmed_path if self.trimmed_path.exists() else None

    @property
    def trimmed_path(self) -> Path:
        """Where these are written."""
        return self.directory / "trimmed.parquet"


def text_shards(texts: Sequence[Path], scratch: Path) -> list[TextShard]:
    """Tables of texts, numbered in their order, each with a directory below `scratch`."""
    return [TextShard(number=n, texts=path, directory=scratch / f"part-{n:05d}") for n, path in enumerate(texts)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sketch:
    """What a shard holds, once it is hashed."""

    documents: int
    first: int
    """Number of its first document."""
    bytes: int
    """Of the texts, in UTF-8."""


def sketching_of(config: DuplicatesConfig) -> Sketching:
    """How the texts of a corpus are hashed."""
    return _sketching(config.near_duplicate_threshold, config.shingle_size, config.shingle_words, config.permutations)


@functools.cache
def _sketching(threshold: float, size: int, words: str, permutations: int) -> Sketching:
    shape = Bands.of(threshold, permutations)
    return Sketching(fold=fold_of(words), factors=random(size, 2), permutations=permutations, shape=shape)


def sketch(shard: TextShard, *, config: DuplicatesConfig) -> Sketch:
    """Write the heads and `keys.npy` of a shard, or take those that a killed run has finished."""
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
    """The documents of a shard, some at a time."""
    with pq.ParquetFile(texts) as opened:
        names = ("document", "id", *_ORIGIN, "quality", "text")
        yield from opened.iter_batches(batch_size=BATCH, columns=[name for name in names if name in opened.schema_arrow.names])


def bytes_of(column: pa.Array) -> tuple[Bytes, Numbers]:
    """The UTF-8 bytes of a column of strings as they lie in memory, uint8 [bytes], and where each starts, int64 [rows + 1]."""
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
    """Which document of a cluster is kept, the lowest rank first: quality in steps of 2^-16 from 1 down, then the hash of its
    text; uint64 [rows]. So neither size, source and name nor the order of reading decides between equals."""
    tails = text >> QUALITY_BITS
    if "quality" not in batch.schema.names:
        return tails
    quality: npt.NDArray[Any] = np.nan_to_num(batch["quality"].to_numpy(zero_copy_only=False).astype(np.float64))
    steps = np.rint((1 - np.clip(quality, 0, 1)) * 0xFFFF).astype(np.uint64)
    return (steps << (np.uint64(64) - QUALITY_BITS)) | tails


def ties_of(batch: pa.RecordBatch, text: Hashes) -> Hashes:
    """Which copy of a text is kept where ranks are equal, the lowest first, uint64 [rows].

    By a hash of the text with domain, language, licence and group, so that the corpus is the same wherever the copies lie; each
    text draws anew, so that no domain wins all. Between copies that agree in these the ids decide, which changes no text.
    """
    origins = zip(*(batch[name].to_pylist() for name in _ORIGIN if name in batch.schema.names), strict=True)
    hashes = np.array([_origin_hash(origin) for origin in origins], dtype=np.uint64)
    ids = np.array([order_of(identity) for identity in batch["id"].to_pylist()], dtype=np.uint64)
    return mixed(text + hashes) >> np.uint64(32) << np.uint64(32) | ids >> np.uint64(32)


@functools.lru_cache(maxsize=4096)
def _origin_hash(origin: tuple[str, ...]) -> int:
    return hash_of("\0".join(name or "" for name in origin).encode())
