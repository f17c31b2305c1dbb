"""Rules that refuse a document. Each gives one reason, and every refusal is counted by it.

To add a rule, write a class with `refusal` and put it into `filters_of`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from components.curation.config import CurationConfig
from components.curation.text.characters import CharacterClass
from components.curation.text.document import NormalisedDocument
from components.curation.text.heuristics import heuristics
from components.curation.text.normalise import without_invisible


class Filter(Protocol):
    """One rule."""

    def refusal(self, candidate: NormalisedDocument) -> str:
        """The reason to refuse the document, or an empty string."""
        ...


@dataclass(frozen=True, slots=True)
class Length:
    """Fragments and data dumps."""

    least: int
    most: int

    def refusal(self, candidate: NormalisedDocument) -> str:
        """`short` or `long`, in characters."""
        if len(candidate.text) < self.least:
            return "short"
        return "long" if len(candidate.text) > self.most else ""


@dataclass(frozen=True, slots=True)
class Binary:
    """Bytes that happen to decode: control characters and replacement characters."""

    most: float = 0.005
    """Share of the characters; mail and form feeds leave a few."""

    def refusal(self, candidate: NormalisedDocument) -> str:
        """`binary`."""
        raw = candidate.raw.replace("\r", "")
        strange = len(raw) - len(without_invisible(raw)) + raw.count("\ufffd")
        return "binary" if strange > self.most * len(raw) else ""


@dataclass(frozen=True, slots=True)
class Letters:
    """Tables of numbers, dumps, and rows of punctuation; in maths, where numbers are what it is about, punctuation alone."""

    prose: float = 0.4
    """Least share of letters among the characters that are not space."""
    code: float = 0.25
    """StarCoder (arXiv 2305.06161, section 3.1) drops files with fewer than 25 % alphabetic characters."""

    def refusal(self, candidate: NormalisedDocument) -> str:
        """`few-letters`."""
        classes = candidate.classes  # compared byte by byte: `bincount` makes eight bytes of each first
        visible = np.count_nonzero(classes != CharacterClass.SPACE)
        # In formulae digits say what letters say in words; rows of rules and punctuation are refused all the same.
        last = CharacterClass.DIGIT if candidate.is_maths else CharacterClass.HAN
        letters = np.count_nonzero((classes >= CharacterClass.LATIN) & (classes <= last))
        return "few-letters" if letters < (self.code if candidate.is_code else self.prose) * visible else ""


@dataclass(frozen=True, slots=True)
class LongLines:
    """Generated or minified code: the limits of Codex (arXiv 2107.03374, section 3.1)."""

    mean: float = 100.0
    most: int = 1000

    def refusal(self, candidate: NormalisedDocument) -> str:
        """`long-lines`, for code only."""
        if not candidate.is_code:
            return ""
        lengths = np.diff(np.flatnonzero(candidate.codes == ord("\n")), prepend=-1) - 1
        return "long-lines" if lengths.max() > self.most or lengths.mean() > self.mean else ""


@dataclass(frozen=True, slots=True)
class RepeatedLines:
    """Menus, logs, templates and tables: characters in lines that repeat an earlier line, as a share of all."""

    prose: float
    code: float = 0.75
    """Code repeats itself honestly, up to two thirds in a wrapper with the same parameters in every function."""
    maths: float = 0.5
    """Worked solutions come back to the same equation or question line; half of a text leaves one repetition of each line."""

    def refusal(self, candidate: NormalisedDocument) -> str:
        """`repeated-lines`."""
        lines = [line for line in map(str.strip, candidate.text.split("\n")) if line]
        total = sum(map(len, lines))
        repeated = total - sum(map(len, set(lines)))
        most = self.code if candidate.is_code else max(self.maths, self.prose) if candidate.is_maths else self.prose
        return "repeated-lines" if repeated > most * total else ""


def filters_of(config: CurationConfig) -> tuple[Filter, ...]:
    """The rules in the order in which they are asked; the first refusal counts."""
    return (
        Length(config.min_characters, config.max_characters),
        Binary(),
        Letters(),
        LongLines(),
        RepeatedLines(config.max_repeated_lines),
        heuristics(config.heuristics, config.heuristic_thresholds),
    )


def first_refusal(filters: Sequence[Filter], candidate: NormalisedDocument) -> str:
    """The first reason to refuse the document, or an empty string."""
    return next(filter(None, (rule.refusal(candidate) for rule in filters)), "")
