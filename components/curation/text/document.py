"""A raw document after normalisation: what the filters judge."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.curation.text.characters import CharacterClass, Classes, Codes, in_unspaced_block

CODE_DOMAINS = ("code",)
"""Domains of this name, or of this name with a hyphenated suffix (`code-python`), hold code."""

MATHS_DOMAINS = ("maths", "math", "mathematics")
"""Domains of these names, with or without a hyphenated suffix, hold mathematical text."""


def domain_matches(domain: str, names: Sequence[str]) -> bool:
    """Whether a domain has one of these names, with or without a hyphenated suffix."""
    return domain.partition("-")[0] in names


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalisedDocument:
    """A raw document after normalisation, with its code points, their classes and its language tag."""

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
        """Whether rules for prose do not apply."""
        return self.language == "code"

    @property
    def is_maths(self) -> bool:
        """Whether its domain is mathematical, where formulae replace words."""
        return domain_matches(self.domain, MATHS_DOMAINS)

    @property
    def unspaced(self) -> bool:
        """Whether most letters are of scripts without spaces between words: Han, kana, Thai, Lao, Myanmar, Khmer."""
        counts = np.bincount(self.classes, minlength=len(CharacterClass))
        letters = counts[CharacterClass.LATIN : CharacterClass.HAN + 1].sum()
        unspaced = counts[CharacterClass.KANA] + counts[CharacterClass.HAN]
        if counts[CharacterClass.LETTER]:
            unspaced += np.count_nonzero(in_unspaced_block(self.codes) & (self.classes == CharacterClass.LETTER))
        return bool(2 * unspaced > letters)
