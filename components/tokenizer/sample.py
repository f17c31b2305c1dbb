"""The text that the tokenizer is trained on: bytes of each domain in the shares of the mixture."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.tokenizer import documents
from components.tokenizer.documents import Rows


def quotas(shares: Mapping[str, float], available: Mapping[str, int], total: int) -> dict[str, int]:
    """Bytes to take of each domain, `total` together where there are as many.

    A domain that has less than its share gives all it has, and what it lacks goes to the others in proportion.
    """
    full: dict[str, int] = {}
    while True:
        open_shares = {domain: share for domain, share in shares.items() if domain not in full}
        scale = (total - sum(full.values())) / sum(open_shares.values()) if open_shares else 0.0
        short = {domain: available[domain] for domain, share in open_shares.items() if available[domain] < share * scale}
        if not short:
            return {**full, **{domain: round(share * scale) for domain, share in open_shares.items()}}
        full |= short


def available_bytes(corpus: Path, domain: str) -> int:
    """UTF-8 bytes of a domain's training documents."""
    return sum(pc.sum(pq.read_table(part, columns=["bytes"])["bytes"]).as_py() or 0 for part in _parts(corpus, domain))


def texts(corpus: Path, domain: str, quota: int, seed: int) -> Iterator[list[str]]:
    """Batches of a domain's training documents until they hold `quota` bytes; the last document stays whole.

    Documents are sorted by their id, which is a hash, so consecutive ones are a random sample: the seed chooses where
    it begins, and only what is taken is read.
    """
    taken = 0
    for rows in _around(_parts(corpus, domain), random.Random(f"{seed}/{domain}")):
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


def _parts(corpus: Path, domain: str) -> list[Path]:
    return documents.parts(corpus, "train", domain)


def _around(parts: list[Path], rng: random.Random) -> list[Rows]:
    """All rows of all parts once, from a random one on and around to it again."""
    counts = [pq.read_metadata(part).num_rows for part in parts]
    start = rng.randrange(sum(counts)) if sum(counts) else 0
    before, after, first = [], [], 0
    for part, count in zip(parts, counts, strict=True):
        border = min(max(start - first, 0), count)
        before.append(Rows(part=part, start=0, stop=border))
        after.append(Rows(part=part, start=border, stop=count))
        first += count
    return [*after, *before]
