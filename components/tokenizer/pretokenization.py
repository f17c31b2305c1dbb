"""Pre-tokenization: how text is split into pieces before BPE, which merges only within a piece.

`longrun` are GPT-2's splits (https://github.com/openai/gpt-2/blob/master/src/encoder.py), with the classes that DeepSeek LLM
separates besides (arXiv 2401.02954, section 2.1): newlines, punctuation and CJK characters merge with their own kind only, and
each digit is a piece. So there is no exception for contractions ('s, 't) as in GPT-2: an apostrophe is punctuation.

`deepseek-llm` are the splits of DeepSeek LLM's published tokenizer, which llama.cpp knows by this name
(`deepseek_llm_pretokenization`).
"""

from tokenizers import Regex, Tokenizer, pre_tokenizers

from components.tokenizer import deepseek_llm_pretokenization as deepseek_llm
from components.tokenizer.config import DEEPSEEK_LLM, LONGRUN, SPLITS

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
"""The splits `longrun`: an alternative for each class, the frequent ones first. A single space belongs to the word or punctuation
after it, as in GPT-2."""

_EXPRESSIONS = {LONGRUN: (PIECE,), DEEPSEEK_LLM: deepseek_llm.EXPRESSIONS}

_EXPRESSIONS_FOR_TRAINING = {LONGRUN: (PIECE,), DEEPSEEK_LLM: deepseek_llm.EXPRESSIONS_FOR_TRAINING}


def pre_tokenizer(splits: str) -> pre_tokenizers.PreTokenizer:
    """The library's pre-tokenizer for one of `SPLITS`: split, then write bytes as the library's 256 printable characters."""
    return _sequence(_EXPRESSIONS[splits])


def pre_tokenizer_for_training(splits: str) -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer that a vocabulary is trained with: that of `pre_tokenizer`, and every digit is a piece."""
    return _sequence(_EXPRESSIONS_FOR_TRAINING[splits])


def splits_of(library: Tokenizer) -> str | None:
    """Which of `SPLITS` a tokenizer uses; None: others, or none."""
    if library.pre_tokenizer is None:
        return None
    state = library.pre_tokenizer.__getstate__()
    return next((splits for splits in SPLITS if pre_tokenizer(splits).__getstate__() == state), None)


def byte_level() -> pre_tokenizers.PreTokenizer:
    """Write bytes as the library's 256 printable characters, without splitting."""
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def _sequence(expressions: tuple[str, ...]) -> pre_tokenizers.PreTokenizer:
    """Each expression splits the pieces of the one before it."""
    steps = [pre_tokenizers.Split(Regex(expression), behavior="isolated") for expression in expressions]
    return pre_tokenizers.Sequence([*steps, byte_level()])
