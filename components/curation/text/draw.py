"""Random draws by hash, so that the choice of a document or file depends on its content, not on its name, position or id."""

import hashlib
import itertools

import numpy as np
import numpy.typing as npt
import xxhash

from components.hashing import Words


def draw(seed: int, name: str) -> float:
    """A pseudo-random number in [0, 1) that depends only on the seed and the name."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


def order_of(identity: str) -> int:
    """The first 64 bits of an id, for sorting."""
    return int(identity[:16], 16)


def hash_of(raw: bytes) -> int:
    """The hash of a text's UTF-8 bytes, uint64, which random draws use."""
    return int.from_bytes(xxhash.xxh3_128_digest(raw)[:8], "little")


def hashes_of(raw: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Words:
    """Both halves of the 128-bit hash of each text, uint64 [texts, 2]; the first half is `hash_of`.

    `raw` are the UTF-8 bytes of all texts, `offsets` int64 [texts + 1] where each starts.
    """
    view = raw.data
    digests = b"".join([xxhash.xxh3_128_digest(view[start:end]) for start, end in itertools.pairwise(offsets.tolist())])
    return np.frombuffer(digests, dtype="<u8").reshape(-1, 2)


def group_of(text: int) -> str:
    """The group of an otherwise ungrouped document: the hash of its text as 16 hex digits."""
    return f"{text:016x}"
