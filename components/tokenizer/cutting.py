"""Texts cut into pieces where they lie, as `pretokenization.PIECE` cuts them: by the class of each character, in machine code.

What class a character is of is asked of the library's own expression when the character is first met: both then have one Unicode.
"""

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, normalizers

from components.errors import DamagedArtifact
from components.machine_code import Bytes, Numbers, compiled
from components.tokenizer import pretokenization

Codes = npt.NDArray[np.uint32]

UNKNOWN, SPACE, BLANK, NEWLINE, LETTER, OTHER, NUMBER, CJK, CJK_NUMBER, INNER = range(10)
"""`PIECE`'s classes. SPACE is U+0020 alone, BLANK any other space but newlines. CJK_NUMBER is a CJK character that is a number
too: it stands alone where a piece begins, else it goes on with CJK characters. INNER bytes belong to the character before."""

_EXPRESSIONS = (
    (BLANK, pretokenization.SPACE),
    (LETTER, pretokenization.LETTER),
    (OTHER, pretokenization.OTHER),
    (NUMBER, pretokenization.NUMBER),
    (CJK, pretokenization.CJK),
)

_ASKED = 4096
"""Characters asked for at a time."""


class Cutter:
    """Cuts texts into pieces, and remembers the classes of the characters that it met."""

    def __init__(self) -> None:
        self._classes = np.zeros(0x110000, dtype=np.uint8)
        self._classes[ord(" ")] = SPACE
        self._classes[[ord("\r"), ord("\n")]] = NEWLINE

    def cut(self, raw: Bytes, offsets: Numbers) -> Numbers:
        """The ends of the pieces, int64 [pieces], of the texts `raw[offsets[n]:offsets[n + 1]]` in UTF-8; `offsets[0]` is 0."""
        kinds = np.empty(len(raw), dtype=np.uint8)
        unknown = np.empty(_ASKED, dtype=np.uint32)
        count, place = classify(raw, 0, self._classes, kinds, unknown)
        while count:
            self._ask(np.unique(unknown[:count]))
            count, place = classify(raw, place, self._classes, kinds, unknown)
        ends = np.empty(len(raw), dtype=np.int64)
        return ends[: cut_texts(kinds, offsets, ends)]

    def _ask(self, codes: Codes) -> None:
        """Set the classes of characters: the library replaces those of a class by a newline, which is never asked for."""
        text = codes.tobytes().decode("utf-32-le")
        found, times = np.zeros(len(codes), dtype=np.uint8), np.zeros(len(codes), dtype=np.uint8)
        for kind, expression in _EXPRESSIONS:
            replaced = normalizers.Replace(Regex(expression), "\n").normalize_str(text)
            members = np.frombuffer(replaced.encode("utf-32-le"), dtype=np.uint32) != codes
            found[members] = np.where(found[members] == NUMBER, CJK_NUMBER, kind)
            times += members
        if not (times == np.where(found == CJK_NUMBER, 2, 1)).all():
            raise DamagedArtifact(
                "the library's classes of characters are not those of this version; run the step tokenizer again"
            )
        self._classes[codes] = found


@compiled
def classify(raw, start, classes, kinds, unknown):  # type: ignore[no-untyped-def]
    """Write the class of every byte from `start` on; how many characters had none, and where the first of them is.

    `unknown` takes those characters; where it is full, the rest is left.
    """
    count, first, place = 0, start, start
    while place < len(raw):
        code, extra = np.uint32(raw[place]), 0
        if code >= 0x80:
            extra = 1 if code < 0xE0 else 2 if code < 0xF0 else 3
            code &= np.uint32(0x3F) >> np.uint32(extra)
            for inner in range(place + 1, place + 1 + extra):
                code = (code << np.uint32(6)) | (np.uint32(raw[inner]) & np.uint32(0x3F))
                kinds[inner] = INNER
        kinds[place] = classes[code]
        if kinds[place] == UNKNOWN:
            if count == len(unknown):
                break
            if count == 0:
                first = place
            unknown[count] = code
            count += 1
        place += 1 + extra
    return count, first


@compiled
def cut_texts(kinds, offsets, ends):  # type: ignore[no-untyped-def]
    """Write the ends of the pieces of every text; their number. The alternatives are those of `PIECE`, in its order."""
    count = 0
    for text in range(len(offsets) - 1):
        place, stop = offsets[text], offsets[text + 1]
        while place < stop:
            begin, kind = place, kinds[place]
            place += 1
            if kind == SPACE and place < stop and (kinds[place] == LETTER or kinds[place] == OTHER):
                kind = kinds[place]
                place += 1
            if kind in (LETTER, OTHER, NEWLINE):
                while place < stop and (kinds[place] == kind or kinds[place] == INNER):
                    place += 1
            elif kind == CJK:
                while place < stop and kinds[place] >= CJK:
                    place += 1
            elif kind in (NUMBER, CJK_NUMBER):
                while place < stop and kinds[place] == INNER:
                    place += 1
            else:
                place = _end_of_space(kinds, begin, stop)
            ends[count] = place
            count += 1
    return count


@compiled
def _end_of_space(kinds, begin, stop):  # type: ignore[no-untyped-def]
    """Where the run of spaces from `begin` on ends; its last U+0020 belongs to a word or punctuation that follows."""
    place = last = begin
    while place < stop and (kinds[place] == SPACE or kinds[place] == BLANK or kinds[place] == INNER):
        if kinds[place] != INNER:
            last = place
        place += 1
    taken = place < stop and (kinds[place] == LETTER or kinds[place] == OTHER) and kinds[last] == SPACE
    return last if taken and last > begin else place
