"""Drops boilerplate lines of web pages, by C4's rules for lines (arXiv 1910.10683, section 2.2) and Chinese equivalents."""

import re

from components.curation.text.measures import TERMINAL

MIN_WORDS = 5
"""Minimum words of a line that is kept, as in C4."""

MIN_CHARACTERS = 10
"""Minimum characters of a line that is kept in text without spaces between words: 5 words of about two characters."""

_NOTICES = re.compile(
    r"javascript|terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies"
    r"|隐私政策|隱私政策|使用条款|使用條款|服务条款|服務條款|版权所有|版權所有|免责声明|免責聲明|ICP备|ICP備",
    re.IGNORECASE,
)
_COOKIE = re.compile(r"cookie", re.IGNORECASE)
"""Marks a line with Han characters as a notice: unlike in English, the word never means a biscuit in Chinese text."""
_HAN = re.compile(r"[\u4e00-\u9fff]")
_CITATIONS = re.compile(r"\[(?:\d+|edit|citation needed|编辑|編輯|来源请求)\]")


def without_boilerplate(text: str, *, spaced: bool) -> str:
    """The text without boilerplate lines and citation marks; blank lines stay.

    A line is kept if it ends like a sentence, is long enough, and is not a notice about scripts, cookies or rights. `spaced` says
    whether words are separated by white space.
    """
    kept = [line for line in _CITATIONS.sub("", text).split("\n") if not line or _is_text(line, spaced)]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(kept)).strip("\n") + "\n"


def _is_text(line: str, spaced: bool) -> bool:
    if not line.rstrip().endswith(TERMINAL):
        return False
    long_enough = len(line.split()) >= MIN_WORDS if spaced else len(line) >= MIN_CHARACTERS
    return long_enough and not _NOTICES.search(line) and not (_COOKIE.search(line) and _HAN.search(line))
