"""Rows of words as lines whose columns stay apart, however long a name is."""

import itertools
from collections.abc import Iterable, Sequence


def in_columns(rows: Iterable[Sequence[str]], widths: Sequence[int] = ()) -> list[str]:
    """A line a row: each column but the last is as wide as its longest word and two blanks, and at least as wide as `widths`."""
    kept = list(rows)
    longest = [max(map(len, column)) for column in zip(*kept, strict=True)]
    wide = [max(words + 2, minimum) for words, minimum in itertools.zip_longest(longest[:-1], widths, fillvalue=0)]
    return ["".join(f"{word:<{width}}" for word, width in zip(row, [*wide, 0], strict=True)).rstrip() for row in kept]
