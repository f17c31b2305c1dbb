"""Shows untrusted texts on HTML pages: hidden characters as their code points, and the words in which two texts differ."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_HIDDEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]"
)
"""Control characters, and characters that join, hide or reorder text (see "Trojan Source", arXiv 2111.00169)."""

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class DiffSpan:
    """A piece of the comparison of two texts."""

    kind: str
    """`same`: in both texts; `removed`: only in the first; `new`: only in the second."""
    text: str


def shown(text: str | None) -> str:
    """The text with hidden characters replaced by their code points, such as `⟨U+202E⟩`."""
    return _HIDDEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text or "")


def differences(before: str, after: str) -> Iterator[DiffSpan]:
    """Compare two texts word by word; text that both share occurs once."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield DiffSpan("same", "".join(old[a:b]))
            continue
        for name, tokens in (("removed", old[a:b]), ("new", new[c:d])):
            if tokens:
                yield DiffSpan(name, "".join(tokens))
