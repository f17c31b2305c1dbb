"""Draws depend on seed and name and are uniform; ids are ordered by their first 64 bits."""

import hashlib

import numpy as np
import pytest

from components.curation.text.draw import draw, group_of, hash_of, hashes_of, order_of


def test_a_draw_depends_on_seed_and_name_alone() -> None:
    assert draw(1, "a.txt") == draw(1, "a.txt")
    assert len({draw(1, "a.txt"), draw(2, "a.txt"), draw(1, "b.txt"), draw(12, ""), draw(1, "2")}) == 5


def test_draws_are_uniform_between_zero_and_one() -> None:
    draws = [draw(0, str(number)) for number in range(4000)]
    assert all(0 <= value < 1 for value in draws)
    for share in (0.1, 0.5, 0.9):
        assert sum(value < share for value in draws) / len(draws) == pytest.approx(share, abs=0.03)


def test_documents_are_in_the_order_of_their_ids() -> None:
    ids = sorted(hashlib.sha256(bytes([number])).hexdigest() for number in range(100))
    assert [order_of(identity) for identity in ids] == sorted(order_of(identity) for identity in ids)
    assert order_of("ff" * 32) == 2**64 - 1


def test_a_text_is_hashed_alike_alone_and_among_others() -> None:
    texts = [b"", "知".encode(), b"a longer text of several words" * 20]
    raw, offsets = np.frombuffer(b"".join(texts), dtype=np.uint8), np.cumsum([0, *map(len, texts)])
    halves = hashes_of(raw, offsets)
    assert halves[:, 0].tolist() == [hash_of(text) for text in texts]
    assert len({*halves.ravel().tolist()}) == 6


def test_the_group_of_a_text_is_its_hash_in_digits_of_one_width() -> None:
    assert (group_of(0), group_of(2**64 - 1)) == ("0" * 16, "f" * 16)
