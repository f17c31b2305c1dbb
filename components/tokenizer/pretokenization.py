"""Pre-tokenization: how text is split into pieces before BPE, which merges only within a piece.

GPT-2's splits (https://github.com/openai/gpt-2/blob/master/src/encoder.py), and the classes that DeepSeek LLM separates besides
(arXiv 2401.02954, section 2.1): newlines, punctuation and CJK characters merge with their own kind only, and each digit is a
piece. So there is no exception for contractions ('s, 't) as in GPT-2: an apostrophe is punctuation.
"""

from tokenizers import Regex, pre_tokenizers

_SCRIPTS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\u30FC"
"""With U+30FC, the long vowel mark, which belongs to no script in Unicode."""

CJK = rf"[{_SCRIPTS}]"

LETTER = rf"[\p{{L}}\p{{M}}&&[^{_SCRIPTS}]]"
"""With combining marks: taken for punctuation, as by GPT-2, they would split the words of Indic scripts."""

OTHER = rf"[^\s\p{{L}}\p{{M}}\p{{N}}{_SCRIPTS}]"
"""Punctuation, symbols, control characters."""

SPACE = r"[^\S\r\n]"

NUMBER = r"\p{N}"

PIECE = "|".join(
    (
        rf" ?{LETTER}+",
        rf" ?{OTHER}+",
        r"[\r\n]+",
        rf"{SPACE}+(?= (?:{LETTER}|{OTHER}))",
        rf"{SPACE}+",
        NUMBER,
        rf"{CJK}+",
    )
)
"""An alternative for each class, the frequent ones first. A single space belongs to the word or punctuation after it, as in
GPT-2."""


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Split by `PIECE`, then write bytes as the library's 256 printable characters."""
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PIECE), behavior="isolated"), byte_level()])


def byte_level() -> pre_tokenizers.PreTokenizer:
    """Write bytes as the library's 256 printable characters, without splitting."""
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
