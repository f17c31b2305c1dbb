"""Pre-tokenization: how text is split into pieces before BPE, which merges only within a piece.

There are two pre-tokenizers. `longrun` splits as GPT-2 does (https://github.com/openai/gpt-2/blob/master/src/encoder.py), and
also separates the character classes that DeepSeek LLM separates (arXiv 2401.02954, section 2.1): newlines, punctuation and CJK
characters merge only with their own kind, and each digit is a piece. Unlike GPT-2 it has no exception for contractions ('s, 't),
because an apostrophe is punctuation.

`deepseek-llm` is the pre-tokenizer of DeepSeek LLM's published tokenizer, which llama.cpp supports under this name
(`deepseek_llm_pretokenization`).
"""

from tokenizers import Regex, Tokenizer, pre_tokenizers

from components.tokenizer import deepseek_llm_pretokenization as deepseek_llm
from components.tokenizer.config import DEEPSEEK_LLM, LONGRUN, PRE_TOKENIZERS

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
"""The expression of `longrun`: one alternative per class, the frequent ones first. A single space belongs to the word or
punctuation after it, as in GPT-2."""

_EXPRESSIONS = {LONGRUN: (PIECE,), DEEPSEEK_LLM: deepseek_llm.EXPRESSIONS}

_EXPRESSIONS_FOR_TRAINING = {LONGRUN: (PIECE,), DEEPSEEK_LLM: deepseek_llm.EXPRESSIONS_FOR_TRAINING}


def pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer of a name in `PRE_TOKENIZERS`: splits, then writes bytes as `tokenizers`' 256 printable characters."""
    return _sequence(_EXPRESSIONS[name])


def pre_tokenizer_for_training(name: str) -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer with which a vocabulary is trained: as `pre_tokenizer`, but every digit is a piece of its own."""
    return _sequence(_EXPRESSIONS_FOR_TRAINING[name])


def pre_tokenizer_of(library: Tokenizer) -> str | None:
    """The name in `PRE_TOKENIZERS` of a tokenizer's pre-tokenizer; None if it has another one, or none."""
    if library.pre_tokenizer is None:
        return None
    state = library.pre_tokenizer.__getstate__()
    return next((name for name in PRE_TOKENIZERS if pre_tokenizer(name).__getstate__() == state), None)


def byte_level() -> pre_tokenizers.PreTokenizer:
    """Write bytes as the library's 256 printable characters, without splitting."""
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def _sequence(expressions: tuple[str, ...]) -> pre_tokenizers.PreTokenizer:
    """Apply the expressions in turn: each splits the pieces of the one before it."""
    steps = [pre_tokenizers.Split(Regex(expression), behavior="isolated") for expression in expressions]
    return pre_tokenizers.Sequence([*steps, byte_level()])
