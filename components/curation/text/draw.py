"""Numbers drawn by hash: whether a document or file is chosen depends on what it holds, not on its name, position or id."""

import hashlib
import itertools

import numpy as np
import numpy.typing as npt
import xxhash

from components.hashing import Words


def draw(seed: int, name: str) -> float:
    """A number in [0, 1) that depends only on the seed and the name."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


def order_of(identity: str) -> int:
    """The first 64 bits of an id: ids are sorted by them."""
    return int(identity[:16], 16)


def hash_of(raw: bytes) -> int:
    """The hash of a text's UTF-8 bytes by which it is drawn, uint64: equal texts are drawn alike wherever they come from."""
    return int.from_bytes(xxhash.xxh3_128_digest(raw)[:8], "little")


def hashes_of(raw: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Words:
    """The halves of the 128-bit hash of each text, uint64 [texts, 2], the first as by `hash_of`; `offsets` int64 [texts + 1]."""
    view = raw.data
    digests = b"".join([xxhash.xxh3_128_digest(view[start:end]) for start, end in itertools.pairwise(offsets.tolist())])
    return np.frombuffer(digests, dtype="<u8").reshape(-1, 2)


def group_of(text: int) -> str:
    """The group of a document that no other group holds, by the hash of its text: 16 hex digits."""
    return f"{text:016x}"
