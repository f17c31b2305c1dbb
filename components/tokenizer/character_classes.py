"""The class of each character of a text, for splitting in machine code.

Which characters an expression matches is asked of the library when a character first occurs, so that the machine code and the
library have one version of Unicode.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, normalizers

from components.errors import DamagedArtifact
from components.machine_code import Bytes, compiled

Codes = npt.NDArray[np.uint32]

UNKNOWN, NEWLINE, INNER = 0, 1, 255
"""Classes of every pre-tokenizer: a character that has not occurred yet; CR and LF; the bytes of a character after its first."""

_CHUNK_CHARACTERS = 4096
"""Characters whose classes are looked up at a time."""


class CharacterClasses:
    """The classes of the characters that have occurred.

    A character is in the class that `classes` gives for the sum of 2^n over all n whose expression matches it.
    """

    def __init__(self, expressions: Sequence[str], classes: Mapping[int, int], others: Mapping[str, int]) -> None:
        """`expressions` match single characters, and no newline; `others` are characters with a class of their own."""
        self._expressions = expressions
        self._class_of = np.full(1 << len(expressions), UNKNOWN, dtype=np.uint8)
        self._class_of[list(classes)] = list(classes.values())
        self._classes = np.full(0x110000, UNKNOWN, dtype=np.uint8)
        for character, own in {"\r": NEWLINE, "\n": NEWLINE, **others}.items():
            self._classes[ord(character)] = own

    def of(self, raw: Bytes) -> Bytes:
        """The class of every byte of text in UTF-8, uint8 [bytes].

        Raises:
            DamagedArtifact: the library's expressions match a character that `classes` does not provide for.
        """
        kinds = np.empty(len(raw), dtype=np.uint8)
        unknown = np.empty(_CHUNK_CHARACTERS, dtype=np.uint32)
        count, position = _classify(raw, 0, self._classes, kinds, unknown)
        while count:
            self._learn(np.unique(unknown[:count]))
            count, position = _classify(raw, position, self._classes, kinds, unknown)
        return kinds

    def _learn(self, codes: Codes) -> None:
        """Set the classes of characters: the library replaces those that an expression matches by a newline."""
        text = codes.tobytes().decode("utf-32-le")
        matches = np.zeros(len(codes), dtype=np.uint8)
        for number, expression in enumerate(self._expressions):
            replaced = normalizers.Replace(Regex(expression), "\n").normalize_str(text)
            matched = np.frombuffer(replaced.encode("utf-32-le"), dtype=np.uint32) != codes
            matches |= matched.astype(np.uint8) << number
        self._classes[codes] = self._class_of[matches]
        if (self._classes[codes] == UNKNOWN).any():
            raise DamagedArtifact(
                "the library's classes of characters are not those of this version; run the step tokenizer again"
            )


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
