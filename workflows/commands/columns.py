"""Formatting of rows as lines with aligned columns."""

import itertools
from collections.abc import Iterable, Sequence


def in_columns(rows: Iterable[Sequence[str]], widths: Sequence[int] = ()) -> list[str]:
    """One line per row. Each column but the last is two blanks wider than its longest cell, and at least as wide as `widths`."""
    kept = list(rows)
    longest = [max(map(len, column)) for column in zip(*kept, strict=True)]
    wide = [max(words + 2, minimum) for words, minimum in itertools.zip_longest(longest[:-1], widths, fillvalue=0)]
    return ["".join(f"{word:<{width}}" for word, width in zip(row, [*wide, 0], strict=True)).rstrip() for row in kept]
