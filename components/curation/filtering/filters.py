"""Filters that refuse documents, each with a reason; refusals are counted by reason.

To add a filter for all recipes, write a class with the method `refusal` and add it to `filters_of`. To add one for a single
recipe, name such a class in `FilteringConfig.filters`.
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
"""Reasons that other steps use; a filter may not return them."""

MAX_REASON = 60
"""Maximum characters of a reason, since reasons are shown in tables."""


class Filter(Protocol):
    """The interface of a filter."""

    def refusal(self, document: NormalisedDocument) -> str | None:
        """The reason to refuse the document, or None or an empty string to keep it."""
        ...


@dataclass(frozen=True, slots=True)
class Length:
    """Refuses fragments and data dumps by their length."""

    min_characters: int
    max_characters: int

    def refusal(self, document: NormalisedDocument) -> str:
        """`short`, `long` or an empty string."""
        if len(document.text) < self.min_characters:
            return "short"
        return "long" if len(document.text) > self.max_characters else ""


@dataclass(frozen=True, slots=True)
class Binary:
    """Refuses binary data that decodes as text, by its control characters and replacement characters."""

    max_share: float = 0.005
    """Maximum share of such characters. It is not 0, since ordinary text may contain form feeds, for example."""

    def refusal(self, document: NormalisedDocument) -> str:
        """`binary` or an empty string."""
        raw = document.raw.replace("\r", "")
        strange = len(raw) - len(without_invisible(raw)) + raw.count("\ufffd")
        return "binary" if strange > self.max_share * len(raw) else ""


@dataclass(frozen=True, slots=True)
class Letters:
    """Refuses tables of numbers, data dumps and rows of punctuation; in maths, only rows of punctuation."""

    min_prose: float = 0.4
    """Minimum share of letters among the visible characters of prose and maths; in maths, digits count as letters."""
    min_code: float = 0.25
    """Minimum share of letters among the visible characters of code. StarCoder (arXiv 2305.06161, section 3.1) drops files with
    fewer than 25 % alphabetic characters."""

    def refusal(self, document: NormalisedDocument) -> str:
        """`few-letters` or an empty string."""
        classes = document.classes  # comparing bytes is faster than `bincount`, which converts them to int64
        visible = np.count_nonzero(classes != CharacterClass.SPACE)
        # In formulae, digits count as letters; rows of punctuation are still refused.
        last = CharacterClass.DIGIT if document.is_maths else CharacterClass.HAN
        letters = np.count_nonzero((classes >= CharacterClass.LATIN) & (classes <= last))
        return "few-letters" if letters < (self.min_code if document.is_code else self.min_prose) * visible else ""


@dataclass(frozen=True, slots=True)
class LongLines:
    """Refuses generated or minified code, with the limits of Codex (arXiv 2107.03374, section 3.1)."""

    max_mean: float = 100.0
    """Maximum mean length of a line, in characters."""
    max_line: int = 1000
    """Maximum length of a line, in characters."""

    def refusal(self, document: NormalisedDocument) -> str:
        """`long-lines` or an empty string; applies to code only."""
        if not document.is_code:
            return ""
        lengths = np.diff(np.flatnonzero(document.codes == ord("\n")), prepend=-1) - 1
        return "long-lines" if lengths.max() > self.max_line or lengths.mean() > self.max_mean else ""


@dataclass(frozen=True, slots=True)
class RepeatedLines:
    """Refuses menus, logs, templates and tables, by the share of characters in lines that repeat an earlier line."""

    max_prose: float
    """Maximum share in prose."""
    max_code: float = 0.75
    """Maximum share in code, which repeats itself legitimately: up to two thirds in a wrapper with the same parameters in every
    function."""
    max_maths: float = 0.5
    """Maximum share in maths, where worked solutions repeat an equation or a question; 0.5 allows each line to occur twice."""

    def refusal(self, document: NormalisedDocument) -> str:
        """`repeated-lines` or an empty string."""
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
    """A filter of the recipe's own, with its results validated."""

    extension: Extension
    rule: Filter

    def refusal(self, document: NormalisedDocument) -> str:
        """The filter's reason, or an empty string. Raises `ExtensionError` if the filter fails or returns an invalid reason."""
        try:
            reason: object = self.rule.refusal(document)
        except Exception as error:
            raise failure(self.extension, FILTER, error, "raised by its method refusal") from error
        if reason is None:
            return ""
        returned = f"filter {self.extension.code} returned {reason!r}"
        if not isinstance(reason, str) or len(reason) > MAX_REASON or not reason.isprintable():
            raise ExtensionError(f"{returned}; allowed: None, or a one-line reason of at most {MAX_REASON} characters")
        if reason in RESERVED:
            raise ExtensionError(f"{returned}, which is reserved for another step; return a different reason")
        return reason


def own_filter(extension: Extension) -> OwnFilter:
    """The filter that an extension names. Raises `ConfigError` if it cannot be loaded."""
    return OwnFilter(extension, load(extension, FILTER))


def filters_of(config: FilteringConfig) -> tuple[Filter, ...]:
    """The filters in the order in which they are applied; the first refusal counts."""
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
    """`first_refusal`; if one of the recipe's own filters fails, the error names the document."""
    try:
        return first_refusal(filters, document)
    except ExtensionError as error:
        raise ExtensionError(f"{error}; document {name}") from error


def first_refusal(filters: Sequence[Filter], document: NormalisedDocument) -> str:
    """The first reason to refuse the document, or an empty string."""
    return next(filter(None, (rule.refusal(document) for rule in filters)), "")
