"""Numbers drawn by hash: whether a document or file is chosen depends on its name, not on its position."""

import hashlib


def draw(seed: int, name: str) -> float:
    """A number in [0, 1) that depends only on the seed and the name."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


def order_of(identity: str) -> int:
    """The first 64 bits of an id. Documents are ordered by them, so that neither size nor source decides which one is kept."""
    return int(identity[:16], 16)
