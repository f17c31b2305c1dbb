"""Rules that refuse a document. Each has one reason, and refusals are counted by reason.

To add a rule for every recipe, write a class with `refusal` and add it to `filters_of`; a recipe names its own, which are such
classes too, in `FilteringConfig.filters`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from components.curation.filtering.config import FilteringConfig
from components.curation.tables.reasons import CONTAMINATED, DUPLICATE_PASSAGES, EXACT, FLAGGED, LOW_QUALITY, NEAR
from components.curation.text.characters import CharacterClass
from components.curation.text.document import NormalisedDocument
from components.curation.text.heuristics import heuristics
from components.curation.text.normalise import without_invisible
from components.errors import ExtensionError
from components.extensions import FILTER, Extension, failure, load

RESERVED = frozenset({FLAGGED, CONTAMINATED, LOW_QUALITY, EXACT, NEAR, DUPLICATE_PASSAGES})
"""Reasons of other steps, by which tables and checks tell those from filters."""

MAX_REASON = 60
"""Characters of a reason: it heads columns of figures and tables."""


class Filter(Protocol):
    """One rule."""

    def refusal(self, document: NormalisedDocument) -> str | None:
        """The reason to refuse the document; None or an empty string: there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Length:
    """Fragments and data dumps."""

    min_characters: int
    max_characters: int

    def refusal(self, document: NormalisedDocument) -> str:
        """`short` or `long`, in characters."""
        if len(document.text) < self.min_characters:
            return "short"
        return "long" if len(document.text) > self.max_characters else ""


@dataclass(frozen=True, slots=True)
class Binary:
    """Bytes that happen to decode as text: control characters and replacement characters."""

    max_share: float = 0.005
    """Share of such characters; mail and form feeds leave a few."""

    def refusal(self, document: NormalisedDocument) -> str:
        """`binary`."""
        raw = document.raw.replace("\r", "")
        strange = len(raw) - len(without_invisible(raw)) + raw.count("\ufffd")
        return "binary" if strange > self.max_share * len(raw) else ""


@dataclass(frozen=True, slots=True)
class Letters:
    """Tables of numbers, dumps, and rows of punctuation; in maths, which is about numbers, only rows of punctuation."""

    min_prose: float = 0.4
    """Share of letters among the characters that are not white space."""
    min_code: float = 0.25
    """StarCoder (arXiv 2305.06161, section 3.1) drops files with fewer than 25 % alphabetic characters."""

    def refusal(self, document: NormalisedDocument) -> str:
        """`few-letters`."""
        classes = document.classes  # compared as bytes: `bincount` would first make eight bytes of each
        visible = np.count_nonzero(classes != CharacterClass.SPACE)
        # In formulae digits take the role of letters; rules and rows of punctuation are refused all the same.
        last = CharacterClass.DIGIT if document.is_maths else CharacterClass.HAN
        letters = np.count_nonzero((classes >= CharacterClass.LATIN) & (classes <= last))
        return "few-letters" if letters < (self.min_code if document.is_code else self.min_prose) * visible else ""


@dataclass(frozen=True, slots=True)
class LongLines:
    """Generated or minified code: the limits of Codex (arXiv 2107.03374, section 3.1)."""

    max_mean: float = 100.0
    """Characters of a line on average."""
    max_line: int = 1000
    """Characters of the longest line."""

    def refusal(self, document: NormalisedDocument) -> str:
        """`long-lines`, for code only."""
        if not document.is_code:
            return ""
        lengths = np.diff(np.flatnonzero(document.codes == ord("\n")), prepend=-1) - 1
        return "long-lines" if lengths.max() > self.max_line or lengths.mean() > self.max_mean else ""


@dataclass(frozen=True, slots=True)
class RepeatedLines:
    """Menus, logs, templates and tables, by the share of characters in lines that repeat an earlier line."""

    max_prose: float
    max_code: float = 0.75
    """Code repeats itself legitimately: up to two thirds in a wrapper with the same parameters in every function."""
    max_maths: float = 0.5
    """Worked solutions return to the same equation or question line; half of a text allows one repetition of each line."""

    def refusal(self, document: NormalisedDocument) -> str:
        """`repeated-lines`."""
        lines = [line for line in map(str.strip, document.text.split("\n")) if line]
        total = sum(map(len, lines))
        repeated = total - sum(map(len, set(lines)))
        if document.is_code:
            max_share = self.max_code
        else:
            max_share = max(self.max_maths, self.max_prose) if document.is_maths else self.max_prose
        return "repeated-lines" if repeated > max_share * total else ""


@dataclass(frozen=True, slots=True)
class OwnFilter:
    """A rule of the recipe's own."""

    extension: Extension
    rule: Filter

    def refusal(self, document: NormalisedDocument) -> str:
        """Its reason, or an empty string. Raises `ExtensionError` where it fails, or returns what cannot be a reason."""
        try:
            reason: object = self.rule.refusal(document)
        except Exception as error:
            raise failure(self.extension, FILTER, error, "asked for its refusal") from error
        if reason is None:
            return ""
        returned = f"filter {self.extension.code} returned {reason!r}"
        if not isinstance(reason, str) or len(reason) > MAX_REASON or not reason.isprintable():
            raise ExtensionError(f"{returned}; allowed: None, or a reason of up to {MAX_REASON} characters in one line")
        if reason in RESERVED:
            raise ExtensionError(f"{returned}, which is the reason of another step; allowed: a name of its own")
        return reason


def own_filter(extension: Extension) -> OwnFilter:
    """The filter that an extension names. Raises `ConfigError` where it cannot be loaded."""
    return OwnFilter(extension, load(extension, FILTER))


def filters_of(config: FilteringConfig) -> tuple[Filter, ...]:
    """The rules in the order in which they are applied; the first refusal counts."""
    return (
        Length(config.min_characters, config.max_characters),
        Binary(),
        Letters(),
        LongLines(),
        RepeatedLines(config.max_repeated_lines),
        heuristics(config.heuristics, config.heuristic_thresholds),
        *map(own_filter, config.filters),
    )


def refusal_of(name: str, document: NormalisedDocument, filters: Sequence[Filter]) -> str:
    """`first_refusal`, where the failure of a filter of the recipe's own says the document's name."""
    try:
        return first_refusal(filters, document)
    except ExtensionError as error:
        raise ExtensionError(f"{error}; document {name}") from error


def first_refusal(filters: Sequence[Filter], document: NormalisedDocument) -> str:
    """The first reason to refuse the document, or an empty string."""
    return next(filter(None, (rule.refusal(document) for rule in filters)), "")
