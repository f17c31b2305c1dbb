"""The control tokens: their names, their ids, and the file that holds them."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from components.errors import DamagedArtifact, MissingArtifact
from components.files import read_json
from components.tokenizer.config import NAMED_SPECIAL_TOKENS

BOS = "<｜begin▁of▁sentence｜>"
"""Before every text (https://huggingface.co/deepseek-ai/deepseek-llm-7b-base)."""

EOS = "<｜end▁of▁sentence｜>"
"""After every document and every answer; from the same page."""

PAD = "<｜▁pad▁｜>"
"""Fills batches; never learned."""

FILE = "special_tokens.json"

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", FILE)
"""The files of a tokenizer that a checkpoint holds too."""


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
class SpecialTokens:
    """Ids of the control tokens, and the sizes of the vocabulary."""

    bos: int
    eos: int
    pad: int
    vocab_size: int
    """Rows of the model's embedding, padding included."""
    regular_tokens: int
    """Ids below this are of text."""

    def write(self, directory: Path) -> None:
        """Write `special_tokens.json`."""
        (directory / FILE).write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read `special_tokens.json`.

        Raises:
            MissingArtifact: there is none.
            DamagedArtifact: it does not hold these ids.
        """
        path = directory / FILE
        if not path.is_file():
            raise MissingArtifact(f"{path}: no tokenizer here; run the step tokenizer")
        what, remedy = "the ids of special tokens", "run the step tokenizer again"
        raw = read_json(path, dict, remedy, what=what)
        try:
            return cls(**raw)
        except TypeError as error:
            raise DamagedArtifact(f"{path}: not {what} ({error}); {remedy}") from error
