"""Defines `NormalisedDocument`, the document that filters see."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.curation.text.characters import CharacterClass, Classes, Codes, in_unspaced_block

CODE_DOMAINS = ("code",)
"""Names of domains that contain code, also with a hyphenated suffix (`code-python`)."""

MATHS_DOMAINS = ("maths", "math", "mathematics")
"""Names of domains that contain mathematical text, also with a hyphenated suffix."""


def domain_matches(domain: str, names: Sequence[str]) -> bool:
    """Whether a domain has one of these names, with or without a hyphenated suffix."""
    return domain.partition("-")[0] in names


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedDocument:
    """A document after normalisation, with its code points, their classes and its language tag."""

    text: str
    """The normalised text."""
    raw: str
    """The text as it was read."""
    codes: Codes
    """Code points of `text`, uint32 [characters]."""
    classes: Classes
    """`CharacterClass` of each code point, uint8 [characters]."""
    language: str
    """en, zh, code or other; with the language model `lid176`, code, other or an ISO 639 code."""
    domain: str

    @property
    def is_code(self) -> bool:
        """Whether the document is code, so that rules for prose do not apply."""
        return self.language == "code"

    @property
    def is_maths(self) -> bool:
        """Whether the document's domain is mathematical; there, formulae replace words."""
        return domain_matches(self.domain, MATHS_DOMAINS)

    @property
    def unspaced(self) -> bool:
        """Whether most letters are from scripts without spaces between words: Han, kana, Thai, Lao, Myanmar, Khmer."""
        counts = np.bincount(self.classes, minlength=len(CharacterClass))
        letters = counts[CharacterClass.LATIN : CharacterClass.HAN + 1].sum()
        unspaced = counts[CharacterClass.KANA] + counts[CharacterClass.HAN]
        if counts[CharacterClass.LETTER]:
            unspaced += np.count_nonzero(in_unspaced_block(self.codes) & (self.classes == CharacterClass.LETTER))
        return bool(2 * unspaced > letters)
