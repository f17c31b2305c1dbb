"""Converts a text to arrays of code points and character classes, for filters, language detection and shingles."""

import functools
import unicodedata
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint32]
Classes = npt.NDArray[np.uint8]


class CharacterClass(IntEnum):
    """Class of a character. Characters of the classes from LATIN on can be part of a word."""

    OTHER = 0
    SPACE = 1
    LATIN = 2
    LETTER = 3
    KANA = 4
    HAN = 5
    DIGIT = 6


UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))
"""First and last code points of the blocks of scripts without spaces between words, other than Han and kana: Thai and Lao,
Myanmar, Khmer (Unicode 15.1, blocks)."""


def in_unspaced_block(codes: Codes) -> npt.NDArray[np.bool_]:
    """Whether each code point is in an `UNSPACED` block, bool [characters]."""
    inside = np.zeros(len(codes), dtype=bool)
    for first, last in UNSPACED:
        inside |= (codes >= first) & (codes <= last)
    return inside


def codes_of(text: str) -> Codes:
    """The code points of a text, uint32 [characters]."""
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def classes_of(codes: Codes) -> Classes:
    """The `CharacterClass` of each code point, uint8 [characters]."""
    return _table()[np.minimum(codes, _LAST)]


_LAST = 0x3FFFF
"""Last code point of the planes of Han characters (Unicode 15.1, blocks); no code point above it is a letter."""


@functools.cache
def _table() -> Classes:
    table = np.zeros(_LAST + 1, dtype=np.uint8)
    table[:0x10000] = [_class_of(chr(code)) for code in range(0x10000)]
    table[0x20000:_LAST] = CharacterClass.HAN
    return table


def _class_of(character: str) -> CharacterClass:
    code = ord(character)
    if 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0xF900 <= code <= 0xFAFF:
        return CharacterClass.HAN
    if 0x3041 <= code <= 0x30FF:
        return CharacterClass.KANA
    if character.isspace():
        return CharacterClass.SPACE
    if character.isalpha():
        return CharacterClass.LATIN if "LATIN" in unicodedata.name(character, "") else CharacterClass.LETTER
    return CharacterClass.DIGIT if character.isdigit() or character == "_" else CharacterClass.OTHER
