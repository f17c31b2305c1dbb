"""Numbers drawn by hash: a document or file is chosen by what it is called and not by where it stands."""

import hashlib


def draw(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on the seed and the name alone."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


def order_of(identity: str) -> int:
    """The first 64 bits of an id: documents are ordered by it, so that neither size nor source decides what is kept."""
    return int(identity[:16], 16)
