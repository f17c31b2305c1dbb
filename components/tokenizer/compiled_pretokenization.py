"""Texts split into pieces in machine code, as `pretokenization.PIECE` splits them: by the class of each character.

The class of a character comes from the library's own expression, when the character is first met, so that both have one version
of Unicode.
"""

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, normalizers

from components.errors import DamagedArtifact
from components.machine_code import Bytes, Numbers, compiled
from components.tokenizer import pretokenization

Codes = npt.NDArray[np.uint32]

UNKNOWN, SPACE, BLANK, NEWLINE, LETTER, OTHER, NUMBER, CJK, CJK_NUMBER, INNER = range(10)
"""The classes of `PIECE`. SPACE is U+0020 alone, BLANK any other space but newlines. CJK_NUMBER is a CJK character that is also a
number: a piece of its own at the start of a piece, else a continuation of CJK characters. INNER are the bytes of a character
after its first."""

_EXPRESSIONS = (
    (BLANK, pretokenization.SPACE),
    (LETTER, pretokenization.LETTER),
    (OTHER, pretokenization.OTHER),
    (NUMBER, pretokenization.NUMBER),
    (CJK, pretokenization.CJK),
)

_CHUNK_CHARACTERS = 4096
"""Characters whose classes are looked up at a time."""


class PreTokenizer:
    """Splits texts into pieces, and remembers the classes of the characters that it has met."""

    def __init__(self) -> None:
        self._classes = np.zeros(0x110000, dtype=np.uint8)
        self._classes[ord(" ")] = SPACE
        self._classes[[ord("\r"), ord("\n")]] = NEWLINE

    def piece_ends(self, raw: Bytes, offsets: Numbers) -> Numbers:
        """The ends of the pieces, int64 [pieces], of the texts `raw[offsets[n]:offsets[n + 1]]` in UTF-8; `offsets[0]` is 0."""
        kinds = np.empty(len(raw), dtype=np.uint8)
        unknown = np.empty(_CHUNK_CHARACTERS, dtype=np.uint32)
        count, position = _classify(raw, 0, self._classes, kinds, unknown)
        while count:
            self._learn(np.unique(unknown[:count]))
            count, position = _classify(raw, position, self._classes, kinds, unknown)
        ends = np.empty(len(raw), dtype=np.int64)
        return ends[: _write_ends(kinds, offsets, ends)]

    def _learn(self, codes: Codes) -> None:
        """Set the classes of characters: the library replaces those of a class by a newline, which is never among them."""
        text = codes.tobytes().decode("utf-32-le")
        classes, matches = np.zeros(len(codes), dtype=np.uint8), np.zeros(len(codes), dtype=np.uint8)
        for kind, expression in _EXPRESSIONS:
            replaced = normalizers.Replace(Regex(expression), "\n").normalize_str(text)
            members = np.frombuffer(replaced.encode("utf-32-le"), dtype=np.uint32) != codes
            classes[members] = np.where(classes[members] == NUMBER, CJK_NUMBER, kind)
            matches += members
        if not (matches == np.where(classes == CJK_NUMBER, 2, 1)).all():
            raise DamagedArtifact(
                "the library's classes of characters are not those of this version; run the step tokenizer again"
            )
        self._classes[codes] = classes


@compiled
def _classify(raw, start, classes, kinds, unknown):  # type: ignore[no-untyped-def]
    """Write the class of every byte from `start` on; how many characters are unknown, and the position of the first of them.

    The characters are written to `unknown`; when it is full, this stops.
    """
    count, first, position = 0, start, start
    while position < len(raw):
        code, extra = np.uint32(raw[position]), 0
        if code >= 0x80:
            extra = 1 if code < 0xE0 else 2 if code < 0xF0 else 3
            code &= np.uint32(0x3F) >> np.uint32(extra)
            for inner in range(position + 1, position + 1 + extra):
                code = (code << np.uint32(6)) | (np.uint32(raw[inner]) & np.uint32(0x3F))
                kinds[inner] = INNER
        kinds[position] = classes[code]
        if kinds[position] == UNKNOWN:
            if count == len(unknown):
                break
            if count == 0:
                first = position
            unknown[count] = code
            count += 1
        position += 1 + extra
    return count, first


@compiled
def _write_ends(kinds, offsets, ends):  # type: ignore[no-untyped-def]
    """Write the ends of the pieces of every text; their number. The branches are the alternatives of `PIECE`, in its order."""
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
