"""A language tag from the script, and from English function words."""

import numpy as np

from components.curation.characters import CharacterClass, Classes

ENGLISH = frozenset(
    {"a", "and", "are", "be", "by", "for", "in", "is", "it", "of", "on", "or", "that", "the", "this", "to", "with"}
)
"""Words that make up a quarter of English running text and little of any other language's (Gopher's stop-word rule,
arXiv 2112.11446, table A1, asks for two of a similar list)."""

LEAST_ENGLISH = 0.05
"""Share of the words; reference documentation, full of names and signatures, has a tenth."""


def language_of(text: str, classes: Classes) -> str:
    """`zh` where most letters are Han and hardly any are kana, `en` where they are Latin with English words, else `other`."""
    counts = np.bincount(classes, minlength=len(CharacterClass))
    letters = max(1, int(counts[CharacterClass.LATIN : CharacterClass.HAN + 1].sum()))
    if counts[CharacterClass.HAN] > letters / 2 and counts[CharacterClass.KANA] < letters / 50:
        return "zh"
    if counts[CharacterClass.LATIN] <= letters / 2:
        return "other"
    words = text[:20_000].lower().split()
    return "en" if sum(word in ENGLISH for word in words) >= LEAST_ENGLISH * len(words) else "other"
