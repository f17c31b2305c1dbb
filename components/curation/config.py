"""What curation reads, and the rules by which it filters, deduplicates and mixes."""

import math
from dataclasses import dataclass, field

from components.errors import require

PYTHON_ENVIRONMENT = "python-environment:"
"""URI of the text of installed distributions."""

PYTHON_DOMAINS = ("code", "prose", "maths")
"""Domains of `python-environment:`: `.py` files, docstrings and descriptions, and those of mathematical packages."""

PERSONAL_DATA = ("email", "ipv6", "iban", "chinese-identity", "card", "ipv4", "phone")
"""Kinds of personal data, in the order in which they are replaced."""

PASSAGES = ("line", "substring")
"""Kinds of repeated passages."""

LANGUAGE_MODELS = ("script", "lid176")

SCRIPT_TAGS = ("en", "zh", "code", "other")
"""Languages that the model `script` and fixed tags tell apart."""

RULE_SETS = ("gopher-quality", "gopher-repetition", "c4-lines", "c4", "fineweb", "starcoder")
"""Sets of published rules, in the order in which they are applied; `text/heuristics.py` has each rule with its source."""

SHIPPED = "ldnoobw"
"""Names the list of a language in `CurationConfig.flagged_words`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Documents of one domain below one URI."""

    uri: str
    """`python-environment:`, or a path, `file://` or `s3://` URI of a folder or file: JSONL, text, WARC or WET (plain, .gz,
    .zst), Parquet, or a Hugging Face dataset on disk."""
    domain: str
    """Domain of the mixture. For `python-environment:` one of code, prose and maths, and only its documents are taken."""
    weight: float
    """Weight in the mixture, in tokens; a domain's share is the sum of its sources' weights over the sum of all."""
    licence: str = "unknown"
    """SPDX expression of the documents; `python-environment:` takes each distribution's own."""
    language: str = "auto"
    """`auto` tags each document by its script; a fixed tag otherwise. Documents tagged `code` skip the rules for prose."""
    text_field: str = "text"
    """Field of a JSON line, or column of a Parquet or Arrow file, that holds the text."""
    distributions: tuple[str, ...] = ()
    """Distributions that `python-environment:` reads."""
    sample_bytes: int | None = None
    """Approximate raw bytes to read, chosen by hash: whole files, or rows of files with many documents; None reads all.
    A prose source counts the whole `.py` files that its docstrings are in."""

    def __post_init__(self) -> None:
        require(bool(self.uri.strip()), self, "uri", self.uri, "a URI")
        require(self.domain.replace("-", "").isalnum(), self, "domain", self.domain, "letters, digits and hyphens")
        require(0 < self.weight < math.inf, self, "weight", self.weight, "a positive number")
        require(bool(self.text_field), self, "text_field", self.text_field, "a name")
        tags = ("auto", *SCRIPT_TAGS)
        require(self.language in tags, self, "language", self.language, ", ".join(tags))
        sample = self.sample_bytes
        require(sample is None or sample > 0, self, "sample_bytes", sample, "a positive integer or None")
        if self.uri == PYTHON_ENVIRONMENT:
            require(self.domain in PYTHON_DOMAINS, self, "domain", self.domain, ", ".join(PYTHON_DOMAINS))

    @property
    def name(self) -> str:
        """How messages and tables name this source."""
        return f"{self.uri} ({self.domain})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """A benchmark whose items no document of the corpus may contain."""

    name: str
    """Its name in `contamination.parquet`, by which evaluation joins."""
    uri: str
    """Path, `file://` or `s3://` URI of a folder or file: JSON, JSONL, CSV or Parquet, an item in each record."""
    fields: tuple[str, ...] = ()
    """Fields of a record whose text counts, such as the question and its answer; empty: every text in it."""

    def __post_init__(self) -> None:
        require(bool(self.name.strip()), self, "name", self.name, "a name")
        require(bool(self.uri.strip()), self, "uri", self.uri, "a URI")


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """A learned quality score: how much a document reads like the references rather than like the sources."""

    references: tuple[Source, ...] = ()
    """Examples of preferred documents, such as an encyclopedia; read and filtered like sources, but not added to the corpus, and
    their weights are ignored. A language without references is not scored, and loses nothing. Empty: no score."""
    max_refused_share: float = 0.1
    """Share of each language in each domain, its lowest scores, that may be refused as `low-quality`; with 0 documents are only
    scored. DCLM (arXiv 2406.11794, section 4.4) keeps the top tenth of English web text: such a cut needs a whole crawl."""
    sample_documents: int = 10_000
    """Documents of the references, and as many of the sources, that the classifier of a language is trained on. A worker holds
    them in memory, some 200 MB."""
    min_documents: int = 200
    """Documents that a language needs, both in the references and in the sources, to get a classifier: of fewer it would learn
    their topics."""

    def __post_init__(self) -> None:
        require(0 <= self.max_refused_share < 1, self, "max_refused_share", self.max_refused_share, "at least 0, below 1")
        require(self.min_documents > 0, self, "min_documents", self.min_documents, "a positive integer")
        enough = self.sample_documents >= self.min_documents
        require(enough, self, "sample_documents", self.sample_documents, "at least min_documents")


@dataclass(frozen=True, kw_only=True, slots=True)
class CurationConfig:
    """Section 2.1 of the paper: deduplicate, filter, remix. The paper gives no thresholds: these are from the works it cites."""

    sources: tuple[Source, ...]
    """Where documents come from; a domain may have several sources, a source only one domain."""
    min_characters: int = 100
    """Shorter documents are refused as `short`; CCNet (arXiv 1911.00359, section 3.1) drops such fragments too."""
    max_characters: int = 10_000_000
    """Longer documents are refused as `long`: a whole novel has 3 million characters, a data dump more."""
    max_repeated_lines: float = 0.2
    """Share of the characters of prose in lines that repeat an earlier one (Gopher, arXiv 2112.11446, table A1).
    Reference documentation repeats its section heads and parameters: 0.5 suits it."""
    language_model: str = "script"
    """How `auto` tags: `script` distinguishes en, zh and other by script and English function words; `lid176` 176 languages by
    fastText's model, and code by its lines, in every domain (group `curation`)."""
    heuristics: tuple[str, ...] = ()
    """Published rule sets to apply as well: gopher-quality, gopher-repetition, c4, fineweb and starcoder refuse documents,
    c4-lines drops boilerplate lines. They are meant for web text: manuals and tables fail rules that were set on crawls."""
    heuristic_thresholds: dict[str, float] = field(default_factory=dict)
    """Thresholds that replace published ones, by `RULE` or `KIND:RULE`, such as `{"zh:gopher-few-words": 60}`; kinds: en, zh,
    other, unspaced, code, maths."""
    personal_data: tuple[str, ...] = ()
    """Kinds of personal data to replace by marks such as `<EMAIL>`: email, ipv6, iban, chinese-identity, card, ipv4, phone."""
    quality: Quality = field(default_factory=Quality)
    """A quality score learned from references; of two duplicates the one with the higher score is kept."""
    flagged_words: dict[str, str] = field(default_factory=dict)
    """Lists of obscene and abusive words by language, such as `{"en": "ldnoobw", "zh": "my/words.txt"}`: a shipped list's name,
    or the path or URI of a UTF-8 file with a word or phrase on each line. A document is compared with its own language's list."""
    max_flagged_words_ratio: float = 0.01
    """Share of flagged words above which a document is refused as `flagged-words`; with 1 the share is only recorded. ROOTS
    (arXiv 2303.03915) refuses English above 0.01 (`flagged_words_max_cutoff` of github.com/bigscience-workshop/data-preparation).
    C4 refuses for a single word, and so loses much text by and about minorities (arXiv 2104.08758)."""
    min_flagged_words: int = 3
    """Flagged words from which a document may be refused for them: short documents are not refused for one or two."""
    samples: int = 4
    """Documents of each step and reason that are kept as evidence for `longrun inspect`, with personal data replaced; 0: none."""
    benchmarks: tuple[Benchmark, ...] = ()
    """Benchmarks: documents that share `benchmark_gram` consecutive words with an item are refused as `contaminated`."""
    benchmark_gram: int = 13
    """Consecutive words (GPT-3, arXiv 2005.14165, appendix C); a CJK character counts as a word."""
    max_bad_lines: int = 100
    """Lines or rows without text that one file may hold before it is set aside."""
    max_document_bytes: int = 64 * 1024 * 1024
    """Longer lines, cells, records and text files are refused as `long` without being held in memory."""
    max_read_attempts: int = 3
    """Failed reads or worker crashes after which a file is set aside with its error: the check of the corpus then fails."""
    near_duplicate_threshold: float = 0.8
    """Jaccard similarity of word shingles from which a document is a duplicate (arXiv 2107.06499, section 4.2)."""
    shingle_size: int = 5
    """Words in a shingle, as in arXiv 2107.06499, section 4.2; a CJK character counts as a word."""
    shingle_words: str = "alphanumeric"
    """What words are: `alphanumeric` means lower-cased runs of letters and digits, with each Han and kana character a word of its
    own, so that it suits Chinese and code; `whitespace` the text between white space as written, the rule of that paper."""
    permutations: int = 128
    """Values in a MinHash signature."""
    duplicate_passages: tuple[str, ...] = ()
    """Repeated passages to trim from the documents that deduplication keeps: `line`, a whole line that more than
    `max_line_documents` documents share, and `substring`, a run of at least `min_substring_words` words that occurs twice, also
    within one document. Only the first occurrence is kept. A document trimmed below `min_characters` is removed, unless it holds
    such a first occurrence: then it is kept with those passages whole. Meant for web text: manuals legitimately describe the same
    parameter in many documents, and would lose it."""
    passage_action: str = "remove"
    """`remove`, or `mask`: a mark `<REPEATED>` replaces each passage, so that the text around it does not run together."""
    passages_in_code: bool = False
    """Whether code takes part as well: licence headers, imports and common calls repeat legitimately, and a file without them
    does not compile."""
    min_line_words: int = 10
    """Words of a line: shorter ones, such as headings and answers, repeat legitimately. A Han or kana character counts as a word,
    here and in `min_substring_words`; otherwise words are separated by white space."""
    max_line_documents: int = 6
    """Documents that may share a line, as in Llama 3 (arXiv 2407.21783, section 3.1.1), there of every 30 million."""
    min_substring_words: int = 50
    """Words of a substring; arXiv 2107.06499, section 4.1, has 50 BPE tokens, which are fewer words."""
    audited_removals: int = 400
    """Removals of each reason that are measured again from their texts, chosen by the seed. Of many removals, 400 correct ones
    put the lower end of the 95 % interval at 0.9908, 183 at 0.98; of fewer, the check requires that all are correct."""
    validation_share: float = 0.01
    """Approximate share of each domain's bytes to hold out, in whole groups."""
    mixture_temperature: float = 1.0
    """Shares are proportional to weight^(1/temperature): above 1 raises under-represented domains (paper, section 2.1)."""
    max_epochs: float = 4.0
    """Epochs over a domain; up to 4, repeated data is nearly as good as new (arXiv 2305.16264)."""
    max_epochs_by_domain: dict[str, float] = field(default_factory=dict)
    """Limits of individual domains that differ from `max_epochs`."""
    language_shares: dict[str, dict[str, float]] = field(default_factory=dict)
    """Shares of a domain's training tokens by language, such as `{"web": {"en": 3, "zh": 1, "other": 0.5}}`, in proportion.
    `other` stands for all languages that are not named; without it, the domain must have none. The domain's epoch limit applies
    to each language. A domain that is not named is one portion of the mixture, whatever its languages."""
    language_temperature: float | None = None
    """Divides every other domain by its languages, with shares proportional to size^(1/temperature): 1/0.3 in XLM-R (arXiv
    1911.02116, section 3.1). Sizes are training bytes, as a corpus has no tokens yet. None: languages are not balanced."""
    shard_bytes: int = 128 * 1024 * 1024
    """Text bytes that a worker holds at a time, and the approximate size of the corpus's files."""
    keep_shards: bool = True
    """Keep the results of shards before deduplication in the home, with their hashes, so that a corpus with one more source reads
    and hashes only that one; about as large as the corpus, until `longrun gc`."""
    seed: int = 0
    """Chooses samples and the split."""

    def __post_init__(self) -> None:
        require(bool(self.sources), self, "sources", self.sources, "at least one source")
        uris = [s.name if s.uri == PYTHON_ENVIRONMENT else s.uri for s in self.sources]
        require(len(set(uris)) == len(uris), self, "sources", uris, "each URI once, python-environment: once a domain")
        names = [benchmark.name for benchmark in self.benchmarks]
        require(len(set(names)) == len(names), self, "benchmarks", names, "each name once")
        for name in (
            "benchmark_gram",
            "min_characters",
            "max_document_bytes",
            "max_read_attempts",
            "shingle_size",
            "permutations",
            "audited_removals",
            "shard_bytes",
            "min_line_words",
            "max_line_documents",
        ):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive integer")
        require(
            self.max_characters >= self.min_characters, self, "max_characters", self.max_characters, "at least min_characters"
        )
        repeated = self.max_repeated_lines
        require(0 <= repeated <= 1, self, "max_repeated_lines", repeated, "from 0 to 1")
        require(self.max_bad_lines >= 0, self, "max_bad_lines", self.max_bad_lines, "0 or more")
        threshold = self.near_duplicate_threshold
        require(0 < threshold <= 1, self, "near_duplicate_threshold", threshold, "above 0, at most 1")
        words = ("alphanumeric", "whitespace")
        require(self.shingle_words in words, self, "shingle_words", self.shingle_words, ", ".join(words))
        kinds = self.duplicate_passages
        require(set(kinds) <= set(PASSAGES), self, "duplicate_passages", kinds, ", ".join(PASSAGES))
        require(self.passage_action in ("remove", "mask"), self, "passage_action", self.passage_action, "remove, mask")
        require(self.min_substring_words > 1, self, "min_substring_words", self.min_substring_words, "an integer of at least 2")
        require(0 < self.validation_share < 1, self, "validation_share", self.validation_share, "between 0 and 1")
        temperature = self.mixture_temperature
        require(0 < temperature < math.inf, self, "mixture_temperature", temperature, "a positive number")
        ratio = self.max_flagged_words_ratio
        require(0 < ratio <= 1, self, "max_flagged_words_ratio", ratio, "above 0, at most 1")
        require(self.min_flagged_words > 0, self, "min_flagged_words", self.min_flagged_words, "a positive integer")
        require(self.samples >= 0, self, "samples", self.samples, "0 or more")
        self._require_max_epochs()
        self._require_languages()
        self._require_heuristics()

    def _require_heuristics(self) -> None:
        require(
            set(self.personal_data) <= set(PERSONAL_DATA), self, "personal_data", self.personal_data, ", ".join(PERSONAL_DATA)
        )
        require(self.language_model in LANGUAGE_MODELS, self, "language_model", self.language_model, ", ".join(LANGUAGE_MODELS))
        require(set(self.heuristics) <= set(RULE_SETS), self, "heuristics", self.heuristics, ", ".join(RULE_SETS))
        if self.heuristic_thresholds:
            from components.curation.text.heuristics import threshold_names

            unknown = sorted(self.heuristic_thresholds.keys() - threshold_names())
            allowed = "RULE or KIND:RULE of components/curation/text/heuristics.py"
            require(not unknown, self, "heuristic_thresholds", unknown, allowed)

    def _require_max_epochs(self) -> None:
        require(self.max_epochs > 0, self, "max_epochs", self.max_epochs, "a positive number")
        limits = self.max_epochs_by_domain
        require(all(limit > 0 for limit in limits.values()), self, "max_epochs_by_domain", limits, "positive numbers")
        unknown = sorted(limits.keys() - {source.domain for source in self.sources})
        require(not unknown, self, "max_epochs_by_domain", limits, f"domains of the sources, not {', '.join(unknown)}")

    def _require_languages(self) -> None:
        given, temperature = self.language_shares, self.language_temperature
        unknown = sorted(given.keys() - {source.domain for source in self.sources})
        require(not unknown, self, "language_shares", given, f"domains of the sources, not {', '.join(unknown)}")
        positive = all(shares and all(0 < share < math.inf for share in shares.values()) for shares in given.values())
        require(positive, self, "language_shares", given, "a positive number for each of one or more languages")
        known = self.language_model != "script" or all(shares.keys() <= set(SCRIPT_TAGS) for shares in given.values())
        require(known, self, "language_shares", given, f"the tags {', '.join(SCRIPT_TAGS)}, which the model `script` tells apart")
        allowed = temperature is None or 0 < temperature < math.inf
        require(allowed, self, "language_temperature", temperature, "a positive number or None")
