"""Text to ids and back. No text is ever encoded into a control token."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import tokenizers

from components.errors import DamagedArtifact, MissingArtifact, SourceError
from components.tokenizer.special_tokens import SpecialTokens

FILE = "tokenizer.json"


class TextTokenizer:
    """A trained tokenizer. Ids are Python integers below `vocab_size`.

    Any text becomes regular tokens: `<｜end▁of▁sentence｜>` written out in a document is encoded as the characters that it
    consists of, and only code puts control ids. (`transformers` reads the same files but parses
    such names into control ids, unless it is called with `split_special_tokens=True`.)
    """

    def __init__(self, library: tokenizers.Tokenizer, special: SpecialTokens) -> None:
        self._library = library
        self._library.encode_special_tokens = True
        self._special = special

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read `tokenizer.json` and `special_tokens.json`.

        Raises:
            MissingArtifact: the files are not there.
            DamagedArtifact: they are there, but are not a tokenizer.
        """
        special = SpecialTokens.read(directory)
        path = directory / FILE
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise MissingArtifact(f"{path}: no tokenizer here; run the step tokenizer") from error
        try:
            return cls(tokenizers.Tokenizer.from_str(text), special)
        except Exception as error:  # the library raises nothing narrower
            raise DamagedArtifact(f"{path}: not a tokenizer ({error}); run the step tokenizer again") from error

    @property
    def library(self) -> tokenizers.Tokenizer:
        """The library's own tokenizer."""
        return self._library

    @property
    def bos_id(self) -> int:
        """Id of the token before every text."""
        return self._special.bos

    @property
    def eos_id(self) -> int:
        """Id of the token after every document and every answer."""
        return self._special.eos

    @property
    def pad_id(self) -> int:
        """Id of the token that fills batches."""
        return self._special.pad

    @property
    def vocab_size(self) -> int:
        """Rows of the model's embedding: regular and special tokens, padded. All ids are below."""
        return self._special.vocab_size

    @property
    def regular_tokens(self) -> int:
        """Ids of text are below this."""
        return self._special.regular_tokens

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without BOS and EOS.

        Raises:
            SourceError: `text` holds a lone surrogate, which UTF-8 cannot encode.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without BOS and EOS; texts are spread over threads.

        Raises:
            SourceError: a text holds a lone surrogate, which UTF-8 cannot encode.
        """
        try:
            encodings = self._library.encode_batch_fast(list(texts), add_special_tokens=False)
        except TypeError:
            _refuse_surrogates(texts)
            raise
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, without control ids and padding. `decode(encode(text)) == text`.

        Where ids stop in the middle of a character, the text ends in U+FFFD.
        """
        return self._library.decode(list(ids), skip_special_tokens=True)


def _refuse_surrogates(texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            surrogate = f"lone surrogate U+{ord(text[error.start]):04X}"
            raise SourceError(
                f"text {number} of {len(texts)}, character {error.start}: {surrogate}; allowed: text that UTF-8 can say"
            ) from error
