"""A document on its way in: what the filters judge."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.curation.text.characters import CharacterClass, Classes, Codes, in_unspaced_block

CODE_DOMAINS = ("code",)
"""A domain of this name, or one that begins with it and a hyphen, holds code."""

MATHS_DOMAINS = ("maths", "math", "mathematics")
"""A domain of one of these names, or one that begins with it and a hyphen, holds mathematical text."""


def domain_matches(domain: str, names: Sequence[str]) -> bool:
    """Whether a domain has one of these names, or begins with it and a hyphen."""
    return domain.partition("-")[0] in names


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedDocument:
    """A document on its way in."""

    text: str
    """Normalised."""
    raw: str
    """As it was read."""
    codes: Codes
    classes: Classes
    language: str
    """en, zh, code or other."""
    domain: str

    @property
    def is_code(self) -> bool:
        """Whether the rules for prose are not meant for it."""
        return self.language == "code"

    @property
    def is_maths(self) -> bool:
        """Whether formulae stand where prose has words."""
        return domain_matches(self.domain, MATHS_DOMAINS)

    @property
    def unspaced(self) -> bool:
        """Whether most letters are of scripts whose words no spaces part: Han, kana, Thai, Lao, Myanmar, Khmer."""
        counts = np.bincount(self.classes, minlength=len(CharacterClass))
        letters = counts[CharacterClass.LATIN : CharacterClass.HAN + 1].sum()
        unspaced = counts[CharacterClass.KANA] + counts[CharacterClass.HAN]
        if counts[CharacterClass.LETTER]:
            unspaced += np.count_nonzero(in_unspaced_block(self.codes) & (self.classes == CharacterClass.LETTER))
        return bool(2 * unspaced > letters)
