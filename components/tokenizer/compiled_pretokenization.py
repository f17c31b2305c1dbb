"""Texts split into pieces in machine code, as the expressions of `pretokenization` split them: by the class of each character."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from components.machine_code import Bytes, Numbers, compiled
from components.tokenizer import deepseek_llm_pretokenization as deepseek_llm
from components.tokenizer import pretokenization
from components.tokenizer.character_classes import INNER, NEWLINE, CharacterClasses
from components.tokenizer.config import DEEPSEEK_LLM, LONGRUN


class Rules(NamedTuple):
    """The rules of one pre-tokenizer."""

    expressions: tuple[str, ...]
    classes: Mapping[int, int]
    others: Mapping[str, int]
    """These three as `CharacterClasses` takes them."""
    write_ends: Any
    """Machine code: writes the ends of the pieces of texts, given the class of each byte; returns their number."""


class PreTokenizer:
    """Splits texts into pieces."""

    def __init__(self, name: str) -> None:
        """`name` is one of `config.PRE_TOKENIZERS`."""
        rules = _RULES[name]
        self._classes = CharacterClasses(rules.expressions, rules.classes, rules.others)
        self._write_ends = rules.write_ends

    def piece_ends(self, raw: Bytes, offsets: Numbers) -> Numbers:
        """The ends of the pieces, int64 [pieces], of the texts `raw[offsets[n]:offsets[n + 1]]` in UTF-8; `offsets[0]` is 0.

        Raises:
            DamagedArtifact: the library's expressions match other characters than this version expects.
        """
        kinds, ends = self._classes.of(raw), np.empty(len(raw), dtype=np.int64)
        return ends[: self._write_ends(kinds, offsets, ends)]


SPACE, BLANK, LETTER, OTHER, NUMBER, CJK, CJK_NUMBER = range(2, 9)
"""The classes of `longrun`. SPACE is U+0020 alone, BLANK any other space but newlines. CJK_NUMBER is a CJK character that is also
a number: a piece of its own at the start of a piece, else a continuation of CJK characters."""


@compiled
def _write_longrun_ends(kinds, offsets, ends):  # type: ignore[no-untyped-def]
    """The branches are the alternatives of `pretokenization.PIECE`, in its order."""
    count = 0
    for text in range(len(offsets) - 1):
        position, stop = offsets[text], offsets[text + 1]
        while position < stop:
            start, kind = position, kinds[position]
            position += 1
            if kind == SPACE and position < stop and (kinds[position] == LETTER or kinds[position] == OTHER):
                kind = kinds[position]
                position += 1
            if kind in (LETTER, OTHER, NEWLINE):
                while position < stop and (kinds[position] == kind or kinds[position] == INNER):
                    position += 1
            elif kind == CJK:
                while position < stop and kinds[position] >= CJK:
                    position += 1
            elif kind in (NUMBER, CJK_NUMBER):
                while position < stop and kinds[position] == INNER:
                    position += 1
            else:
                position = _end_of_space(kinds, start, stop)
            ends[count] = position
            count += 1
    return count


@compiled
def _end_of_space(kinds, start, stop):  # type: ignore[no-untyped-def]
    """The end of the run of spaces from `start` on; a last U+0020 belongs to the word or punctuation that follows."""
    position = last = start
    while position < stop and (kinds[position] == SPACE or kinds[position] == BLANK or kinds[position] == INNER):
        if kinds[position] != INNER:
            last = position
        position += 1
    taken = position < stop and (kinds[position] == LETTER or kinds[position] == OTHER) and kinds[last] == SPACE
    return last if taken and last > start else position


WHITESPACE, NONE = 2, 16
"""Classes of `deepseek-llm`: whitespace but newlines, and characters that none of its four character expressions matches. The
class of any other character is NONE plus the numbers below of the expressions that match it."""

IN_LETTER, IN_PUNCTUATION, IN_WIDE, IN_NUMBER = 1, 2, 4, 8

STARTS_WORD, SPLIT_FROM_SPACE = IN_LETTER | IN_PUNCTUATION, IN_WIDE | IN_NUMBER
"""Runs of letters or punctuation include one whitespace character before them; runs of wide characters or numbers do not."""


@compiled
def _write_deepseek_llm_ends(kinds, offsets, ends):  # type: ignore[no-untyped-def]
    """The six expressions applied one after the other give runs of characters of one class, and single newlines."""
    count = 0
    for text in range(len(offsets) - 1):
        position, stop = offsets[text], offsets[text + 1]
        while position < stop:
            position = _end_of_piece(kinds, position, stop)
            ends[count] = position
            count += 1
    return count


@compiled
def _end_of_piece(kinds, start, stop):  # type: ignore[no-untyped-def]
    """The end of the piece that starts at `start`."""
    position = start
    if kinds[start] == NEWLINE:
        return start + 1
    if kinds[start] == WHITESPACE:
        position, last = _end_of_whitespace(kinds, start, stop)
        if position == stop or kinds[position] == NEWLINE:
            return position
        if kinds[position] & STARTS_WORD and last > start:
            return last
        if kinds[position] & SPLIT_FROM_SPACE:
            return position
    kind, position = kinds[position], _end_of_run(kinds, position, stop)
    # Characters of the class NONE are in one piece with the whitespace between them, and with that before wide ones or numbers.
    while kind == NONE and position < stop and kinds[position] == WHITESPACE:
        after, _ = _end_of_whitespace(kinds, position, stop)
        if after == stop or kinds[after] == NEWLINE or kinds[after] & STARTS_WORD:
            return position
        kind, position = kinds[after], after
        if kind == NONE:
            position = _end_of_run(kinds, position, stop)
    return position


@compiled
def _end_of_run(kinds, start, stop):  # type: ignore[no-untyped-def]
    """The end of the run of characters of the class of that at `start`."""
    position = start + 1
    while position < stop and (kinds[position] == kinds[start] or kinds[position] == INNER):
        position += 1
    return position


@compiled
def _end_of_whitespace(kinds, start, stop):  # type: ignore[no-untyped-def]
    """The end of the run of whitespace from `start` on, and the position of its last character."""
    position = last = start
    while position < stop and (kinds[position] == WHITESPACE or kinds[position] == INNER):
        if kinds[position] == WHITESPACE:
            last = position
        position += 1
    return position, last


_RULES = {
    LONGRUN: Rules(
        expressions=(
            pretokenization.SPACE,
            pretokenization.LETTER,
            pretokenization.OTHER,
            pretokenization.NUMBER,
            pretokenization.CJK,
        ),
        classes={1: BLANK, 2: LETTER, 4: OTHER, 8: NUMBER, 16: CJK, 8 + 16: CJK_NUMBER},
        others={" ": SPACE},
        write_ends=_write_longrun_ends,
    ),
    DEEPSEEK_LLM: Rules(
        expressions=(
            deepseek_llm.LETTER,
            deepseek_llm.PUNCTUATION,
            deepseek_llm.WIDE,
            deepseek_llm.NUMBER,
            deepseek_llm.SPACE,
        ),
        classes={**{members: NONE + members for members in range(16)}, 16: WHITESPACE},
        others={},
        write_ends=_write_deepseek_llm_ends,
    ),
}
