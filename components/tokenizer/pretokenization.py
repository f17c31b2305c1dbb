"""Where text is cut before BPE: no token reaches over these cuts.

GPT-2's splits (https://github.com/openai/gpt-2/blob/master/src/encoder.py), and beyond them the classes that DeepSeek LLM
keeps apart (arXiv 2401.02954, section 2.1): newlines, punctuation and CJK characters merge only with their own kind,
and each digit stands alone. So GPT-2's contractions ('s, 't) are no exception here: an apostrophe is punctuation.
"""

from tokenizers import Regex, pre_tokenizers

_SCRIPTS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\u30FC"
"""U+30FC is the long vowel mark, which Unicode gives to no script."""

CJK = rf"[{_SCRIPTS}]"

LETTER = rf"[\p{{L}}\p{{M}}&&[^{_SCRIPTS}]]"
"""With combining marks, which GPT-2 takes for punctuation: they would cut the words of Indic scripts."""

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
"""One alternative for each class, the frequent ones first. A single space goes to the word or the
punctuation after it, as in GPT-2."""


def pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Cut by `PIECE`, then write bytes as the library's 256 printable characters."""
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(PIECE), behavior="isolated"), byte_level()])


def byte_level() -> pre_tokenizers.PreTokenizer:
    """Write bytes as the library's 256 printable characters, without a cut."""
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
