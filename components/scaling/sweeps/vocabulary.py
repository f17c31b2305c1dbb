"""Which vocabulary the law of a text prefers for a compute budget. Pure arithmetic.

The budget counts the head: M leaves it out, and by M alone a large vocabulary would cost nothing. Tao et al. (arXiv 2407.13623,
section 3) compare vocabularies in the same way, by the FLOPs of all weights.
"""

from dataclasses import dataclass, replace

from components.scaling.laws.text_law import TextLaw, VocabularyLaw
from components.scaling.sweeps.family import Family

_WIDTHS = range(8, 2049, 8)


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimum:
    """The model of a family that the law of one vocabulary prefers for a budget."""

    vocab_size: int
    width: int
    """d_model."""
    tokens: float
    bits_per_byte: float
    """As predicted."""


def optima(law: TextLaw, family: Family, compute: float) -> list[Optimum]:
    """The optimum of each vocabulary for `compute` FLOPs, those of the head included; the fewest bits per byte first."""
    each = [_optimum(vocabulary, replace(family, vocab_size=vocabulary.vocab_size), compute) for vocabulary in law.vocabularies]
    return sorted(each, key=lambda optimum: optimum.bits_per_byte)


def _optimum(vocabulary: VocabularyLaw, family: Family, compute: float) -> Optimum:
    assert vocabulary.law.loss is not None
    candidates = [(width, compute / family.flops(width)) for width in _WIDTHS]
    expected = [vocabulary.law.loss.at(family.scale(width), tokens) for width, tokens in candidates]
    bits_per_byte, (width, tokens) = min(zip(expected, candidates, strict=True))
    return Optimum(vocab_size=vocabulary.vocab_size, width=width, tokens=tokens, bits_per_byte=bits_per_byte)
