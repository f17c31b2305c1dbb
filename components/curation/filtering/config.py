"""The config of filtering: which documents are refused, and what is replaced in the others."""

from dataclasses import dataclass, field

from components.curation.reading.config import SHIPPED, Benchmark
from components.errors import require
from components.extensions import FILTER, Extension, kind
from components.file_names import names_files

PERSONAL_DATA = ("email", "ipv6", "iban", "chinese-identity", "card", "ipv4", "phone")
"""Kinds of personal data, in the order in which they are replaced."""

RULE_SETS = ("gopher-quality", "gopher-repetition", "c4-lines", "c4", "fineweb", "starcoder")
"""Sets of published rules, in the order in which they are applied; `text/heuristics.py` has each rule with its source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilteringConfig:
    """Filters and changes that apply to each document on its own.

    Each field names the source of its default, since the paper gives no thresholds.
    """

    min_characters: int = 100
    """Minimum characters of a document; shorter ones are refused as `short`. CCNet (arXiv 1911.00359, section 3.1) drops such
    fragments too."""
    max_characters: int = 10_000_000
    """Maximum characters of a document; longer ones are refused as `long`. A whole novel has 3 million characters; a longer
    document is a data dump."""
    max_repeated_lines: float = 0.2
    """Maximum share of the characters of prose in lines that repeat an earlier line (Gopher, arXiv 2112.11446, table A1). Use 0.5
    for reference documentation, which repeats section headings and parameters."""
    heuristics: tuple[str, ...] = ()
    """Published rule sets to apply: gopher-quality, gopher-repetition, c4, fineweb and starcoder refuse documents; c4-lines drops
    boilerplate lines. They are meant for web text; manuals and tables often fail rules that were tuned on web crawls."""
    heuristic_thresholds: dict[str, float] = field(default_factory=dict)
    """Thresholds that replace published ones, by `RULE` or `KIND:RULE`, such as `{"zh:gopher-few-words": 60}`. Kinds: en, zh,
    other, unspaced, code, maths."""
    filters: tuple[Extension, ...] = field(default=(), metadata=kind(FILTER))
    """The recipe's own filters, applied after the built-in ones: classes whose `refusal(self, document)` returns the reason to
    refuse a document, or None to keep it. `document` is a `components.curation.text.document.NormalisedDocument`."""
    personal_data: tuple[str, ...] = ()
    """Kinds of personal data to replace by marks such as `<EMAIL>`: email, ipv6, iban, chinese-identity, card, ipv4, phone."""
    flagged_words: dict[str, str] = field(default_factory=dict, metadata=names_files(SHIPPED))
    """Lists of obscene and abusive words by language, such as `{"en": "ldnoobw", "zh": "my/words.txt"}`. Each is the name of a
    built-in list, or the path or URI of a UTF-8 file with a word or phrase per line. A document is compared with the list of its
    own language."""
    max_flagged_words_ratio: float = 0.01
    """Maximum share of flagged words among a document's words; above it, the document is refused as `flagged-words`. With 1, the
    share is only recorded. ROOTS (arXiv 2303.03915) refuses English above 0.01 (`flagged_words_max_cutoff` of
    github.com/bigscience-workshop/data-preparation). C4 refuses a document for a single word, and so loses much text by and about
    minorities (arXiv 2104.08758)."""
    min_flagged_words: int = 3
    """Minimum number of flagged words for a document to be refused, so that a short document is not refused for one or two."""
    benchmarks: tuple[Benchmark, ...] = ()
    """Benchmarks to keep out of the corpus: documents that share `benchmark_gram` consecutive words with an item are refused as
    `contaminated`."""
    benchmark_gram: int = 13
    """Number of consecutive words that mark a document as contaminated (GPT-3, arXiv 2005.14165, appendix C); a CJK character
    counts as a word."""

    def __post_init__(self) -> None:
        for name in ("min_characters", "min_flagged_words", "benchmark_gram"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
        longest, repeated, ratio = self.max_characters, self.max_repeated_lines, self.max_flagged_words_ratio
        require(longest >= self.min_characters, self, "max_characters", longest, "at least min_characters")
        require(0 <= repeated <= 1, self, "max_repeated_lines", repeated, "from 0 to 1")
        require(0 < ratio <= 1, self, "max_flagged_words_ratio", ratio, "above 0, at most 1")
        names = [benchmark.name for benchmark in self.benchmarks]
        require(len(set(names)) == len(names), self, "benchmarks", names, "each name once")
        kinds = self.personal_data
        require(set(kinds) <= set(PERSONAL_DATA), self, "personal_data", kinds, ", ".join(PERSONAL_DATA))
        self._require_heuristics()

    def _require_heuristics(self) -> None:
        require(set(self.heuristics) <= set(RULE_SETS), self, "heuristics", self.heuristics, ", ".join(RULE_SETS))
        if self.heuristic_thresholds:
            from components.curation.text.heuristics import threshold_names

            unknown = sorted(self.heuristic_thresholds.keys() - threshold_names())
            allowed = "RULE or KIND:RULE of components/curation/text/heuristics.py"
            require(not unknown, self, "heuristic_thresholds", unknown, allowed)
