"""Normalises text: Unicode NFC, `\\n` as line ends, no control characters, no trailing white space."""

import re
import unicodedata

_LINE_ENDS = ("\r\n", "\r", "\x85", "\u2028", "\u2029")
_ASCII_CONTROLS = bytes({*range(32), 127} - {*b"\t\n"})
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\ufeff]")
_BLANK_LINES = re.compile(r"\n{4,}")


def normalise(text: str) -> str:
    """The normalised text, with one newline at the end and at most two consecutive blank lines.

    Idempotent. Indentation and spaces inside lines are preserved, since code needs them.
    """
    for end in _LINE_ENDS:
        text = text.replace(end, "\n")
    text = without_invisible(text)
    text = text if text.isascii() else unicodedata.normalize("NFC", text)
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    text = _BLANK_LINES.sub("\n\n\n", text) if "\n\n\n\n" in text else text
    return text.strip("\n") + "\n"


def without_invisible(text: str) -> str:
    """The text without control characters (tab and newline stay), zero-width spaces and byte order marks."""
    if text.isascii():  # ten times as fast as the regular expression, and true for most texts
        return text.encode().translate(None, _ASCII_CONTROLS).decode()
    return _INVISIBLE.sub("", text)
