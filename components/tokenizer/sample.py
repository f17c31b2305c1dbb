"""The text that the tokenizer is trained on: bytes of each portion in the shares of the mixture."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.artifacts import TRAIN
from components.tokenizer import documents
from components.tokenizer.documents import Rows


def quotas(shares: Mapping[str, float], available: Mapping[str, int], total: int) -> dict[str, int]:
    """Bytes to take of each portion, `total` in all if there are as many.

    A portion that has less than its share gives all it has; what it lacks is taken from the others in proportion.
    """
    full: dict[str, int] = {}
    while True:
        open_shares = {portion: share for portion, share in shares.items() if portion not in full}
        scale = (total - sum(full.values())) / sum(open_shares.values()) if open_shares else 0.0
        short = {portion: available[portion] for portion, share in open_shares.items() if available[portion] < share * scale}
        if not short:
            return {**full, **{portion: round(share * scale) for portion, share in open_shares.items()}}
        full |= short


def available_bytes(corpus: Path, portion: str) -> int:
    """UTF-8 bytes of a portion's training documents."""
    return sum(pc.sum(pq.read_table(path, columns=["bytes"])["bytes"]).as_py() or 0 for path in _files(corpus, portion))


def texts(corpus: Path, portion: str, quota: int, seed: int) -> Iterator[list[str]]:
    """Batches of a portion's training documents until they hold `quota` bytes; the last document is not truncated.

    Documents are sorted by their id, which is a hash, so that consecutive ones are a random sample: the seed chooses the first,
    and only what is taken is read.
    """
    taken = 0
    for rows in _rotated(_files(corpus, portion), random.Random(f"{seed}/{portion}")):
        for batch in documents.batches(rows, ["text", "bytes"]):
            chosen = []
            for text, size in zip(batch["text"].to_pylist(), batch["bytes"].to_pylist(), strict=True):
                if taken >= quota:
                    break
                chosen.append(text)
                taken += size
            if chosen:
                yield chosen
            if taken >= quota:
                return


def _files(corpus: Path, portion: str) -> list[Path]:
    return documents.files(corpus, TRAIN, portion)


def _rotated(paths: list[Path], rng: random.Random) -> list[Rows]:
    """All rows of all files, from a random one to the last, then from the first up to it."""
    counts = [pq.read_metadata(path).num_rows for path in paths]
    start = rng.randrange(sum(counts)) if sum(counts) else 0
    before, after, first = [], [], 0
    for path, count in zip(paths, counts, strict=True):
        border = min(max(start - first, 0), count)
        before.append(Rows(path=path, start=0, stop=border))
        after.append(Rows(path=path, start=border, stop=count))
        first += count
    return [*after, *before]
