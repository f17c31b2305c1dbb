"""The control tokens: their names, their ids, and the file that holds them."""

from dataclasses import dataclass
from typing import ClassVar

from components.artifacts import JsonFile
from components.tokenizer.config import NAMED_SPECIAL_TOKENS

BOS = "<｜begin▁of▁sentence｜>"
"""Before every text (https://huggingface.co/deepseek-ai/deepseek-llm-7b-base)."""

EOS = "<｜end▁of▁sentence｜>"
"""After every document and every answer; from the same page."""

PAD = "<｜▁pad▁｜>"
"""Fills batches; never learned."""


def names(count: int) -> list[str]:
    """The names of `count` special tokens in the order of their ids, reserved ones last.

    Each holds a full-width bar, which byte-level BPE never writes, so no regular token can have such a name.
    """
    return [BOS, EOS, PAD, *(f"<｜reserved▁{number}｜>" for number in range(count - NAMED_SPECIAL_TOKENS))]


def after(regular_tokens: int, vocab_size: int) -> "SpecialTokens":
    """The ids of `names`, which follow the regular ones."""
    bos, eos, pad = range(regular_tokens, regular_tokens + NAMED_SPECIAL_TOKENS)
    return SpecialTokens(bos=bos, eos=eos, pad=pad, vocab_size=vocab_size, regular_tokens=regular_tokens)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecialTokens(JsonFile):
    """Ids of the control tokens, and the sizes of the vocabulary."""

    NAME: ClassVar[str] = "special_tokens.json"
    STEP: ClassVar[str] = "the step tokenizer"

    bos: int
    eos: int
    pad: int
    vocab_size: int
    """Rows of the model's embedding, padding included."""
    regular_tokens: int
    """Ids below this are of text."""


TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", SpecialTokens.NAME)
"""The files of a tokenizer that a checkpoint holds too."""
