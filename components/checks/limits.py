"""What each stage's output may look like before the next stage starts: the limits of every check, and their reasons."""

from dataclasses import dataclass, field

from components.errors import require
from components.names import BASELINES


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusLimits:
    """What a corpus may look like before a tokenizer is trained on it."""

    median_bytes: tuple[float, float] = (200, 50_000)
    """Median UTF-8 bytes of a kept document, from and to. Web pages have some 3 kB, source files some 5 kB; outside of
    this, extraction returns fragments, or documents were glued together."""
    longest_bytes: int = 50_000_000
    """Longest kept document in UTF-8 bytes; the largest books stay below 10 MB, so more is a dump that was not parted."""
    domain_share: tuple[float, float] = (0.001, 0.98)
    """Share of each domain in the kept training bytes, from and to. Below a thousandth, a mixture share of a few per cent
    repeats the domain beyond any epoch limit; a corpus of nearly one domain is not the balanced one of the paper, section 2.1."""
    validation_documents: int = 100
    """Kept validation documents of a domain at least: bits per byte of fewer documents depends on which they are."""
    refused_share: float = 0.95
    """Share of a source's documents refused or removed at most. The paper's own removal over 91 dumps is 89.8 % (table 1),
    so more means that a filter misreads the source."""
    set_aside_files: int = 0
    """Files of a source at most that could not be read and were set aside: `metrics/set_aside.parquet` has their errors."""
    duplicate_share: float = 0.9
    """Share of a source's documents, and of its bytes with those of repeated passages, removed as duplicates at most: its loss
    budget. More than the 89.8 % that 91 dumps lost
    together in the paper means that the source is another one once more, or that a template makes its documents alike."""
    duplicate_shares: dict[str, float] = field(default_factory=dict)
    """Loss budgets of single sources where they differ from `duplicate_share`, by `URI (DOMAIN)`: `{"crawl/ (web)": 0.5}`."""
    low_quality_share: float = 0.3
    """Share of each language in each domain refused by the learned quality score at most; the check says the share of every one.
    The recipe's own `quality.max_removed_share` bounds it too: this is for who reads a corpus that somebody else made."""
    cluster_share: float = 0.25
    """Share of a source's documents removed in favour of a single one at most: what a quarter of a source is alike to is an
    error page or a template, which filters should refuse."""
    cluster_documents: int = 20
    """Documents that a single one must have replaced for `cluster_share` to be judged: of three documents one copy is a third,
    and means nothing."""
    removal_precision: float = 0.98
    """Lower end at least of the 95 % interval of the share of removals that have their partner, by the similarity of a sample of
    them counted anew. Removals follow a count, so that a single wrong one is an error; 400 right ones of many leave 0.9908. Of a
    smaller sample than can show this (183 for 0.98, see `curation.audited_removals`) all must be right."""

    def __post_init__(self) -> None:
        _at_least(self, "set_aside_files", 0)
        for name in ("median_bytes", "domain_share"):
            _rising(self, name)
        for name in ("longest_bytes", "validation_documents", "cluster_documents"):
            _at_least(self, name, 1)
        shares = self.duplicate_shares
        require(all(0 <= share <= 1 for share in shares.values()), self, "duplicate_shares", shares, "shares from 0 to 1")
        for name in ("refused_share", "duplicate_share", "low_quality_share", "cluster_share", "removal_precision"):
            _share(self, name)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenShardsLimits:
    """What tokens may look like before a model is trained on them."""

    bytes_per_token: tuple[float, float] = (1.0, 12.0)
    """UTF-8 bytes for one token, from and to, in each split and domain, BOS and EOS counted. A byte-level BPE cannot fall far
    below 1; GPT-2's takes 4.5 bytes of English a token, so 12 means that repeated text was merged into long tokens."""
    round_trip_failures: int = 0
    """Documents at most whose text does not come back from its tokens: a byte-level BPE loses nothing."""
    split_tokens: int = 1
    """Tokens of each domain of the mixture at least, in either split."""

    def __post_init__(self) -> None:
        _rising(self, "bytes_per_token")
        _at_least(self, "round_trip_failures", 0)
        _at_least(self, "split_tokens", 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanLimits:
    """What a plan may ask for before compute is spent on it."""

    warmup_share: float = 0.05
    """Share of the steps spent on warm-up at most. The paper's 2 000 steps are 0.9 % of its 7B run; more than a twentieth
    leaves too little of the schedule."""
    learning_rate: float = 0.01
    """Learning rate at most: AdamW on a transformer diverges above (the paper's grid ends below 4e-3, figure 2)."""
    memory_bytes: int = 80_000_000_000
    """Expected memory of one worker in bytes at most: one 80 GB GPU."""
    law_ratio: float = 2.0
    """How far the chosen learning rate may lie from the law's, as a factor, where the law was fitted: the paper's own 4.2e-4
    and 3.2e-4 are within 3 % of it, and figure 2 shows a plateau of about 2 either way. A warning."""

    def __post_init__(self) -> None:
        _share(self, "warmup_share")
        require(self.learning_rate > 0, self, "learning_rate", self.learning_rate, "a positive number")
        _at_least(self, "memory_bytes", 1)
        require(self.law_ratio >= 1, self, "law_ratio", self.law_ratio, "a factor of at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversationsLimits:
    """What conversations may look like before a model is fine-tuned on them."""

    split_conversations: int = 100
    """Conversations in either split at least: the loss over fewer depends on which they are."""
    longest_characters: int = 100_000
    """Longest prompt and longest answer in characters: some 25 000 tokens of English, six times the paper's
    context (table 2: 4 096)."""
    median_answer_characters: tuple[float, float] = (10, 8_000)
    """Median characters of the answers, from and to: shorter teaches to say nothing, longer no longer fits the context."""

    def __post_init__(self) -> None:
        for name in ("split_conversations", "longest_characters"):
            _at_least(self, name, 1)
        _rising(self, "median_answer_characters")


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePairsLimits:
    """What preference pairs may look like before a model is optimised on them."""

    split_pairs: int = 50
    """Pairs of each kind in either split at least: the reward margin over fewer is noise (at 50, an accuracy has a standard
    error of 7 %)."""
    equal_length_share: float = 0.2
    """Share of a kind's pairs whose two answers are equally long, at most: more of them than chance allows means that the
    two are the same text, and an equal pair has no gradient."""
    length_ratio: tuple[float, float] = (0.2, 5.0)
    """Median of chosen over rejected characters of a kind, from and to: DPO learns length where length tells the two apart
    (Park et al., arXiv 2403.19159). A warning."""

    def __post_init__(self) -> None:
        _at_least(self, "split_pairs", 1)
        _share(self, "equal_length_share")
        _rising(self, "length_ratio")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingLimits:
    """How a training run may have gone before its checkpoint is used."""

    not_finite_steps: int = 0
    """Steps at most whose loss or gradient was not finite: none, unless training was told to skip them."""
    gradient_norm: float = 100.0
    """L2 norm of the gradient before clipping, at most. The paper clips at 1.0 (section 2.3); a step a hundred times as long
    is the sign of a broken batch or a loss of precision, not of learning."""
    loss_ratio: float = 1.0
    """Mean loss of the last tenth of the steps over that of the first tenth, at most: below 1 it fell."""
    mixture_deviation: float = 0.02
    """How far the share of a domain in the tokens seen may lie from its target: two percentage points, the size of a domain
    that one would not notice missing."""

    def __post_init__(self) -> None:
        _at_least(self, "not_finite_steps", 0)
        for name in ("gradient_norm", "loss_ratio"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive number")
        _share(self, "mixture_deviation")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationLimits:
    """What an evaluation must have measured before a model is registered by it."""

    models: tuple[str, ...] = ("base", "sft", "dpo")
    """Models that must stand in the tables."""
    baselines: tuple[str, ...] = BASELINES
    """Baselines that must stand beside them in bits per byte."""
    bits_per_byte: tuple[float, float] = (0.05, 16.0)
    """Bits per byte, from and to. Uniform bytes take 8, and no text is known to take less than 0.05; a model may be worse than
    uniform, but one twice as bad was measured wrongly."""
    domain_documents: int = 20
    """Documents measured in each domain at least."""
    document_bytes: int = 1000
    """Mean UTF-8 bytes of the documents at least: only documents of at least 1 kB are measured (see
    `components.generation.bits_per_byte`)."""
    task_items: int = 50
    """Items of a task at least, and clean items of a benchmark: at 50, an accuracy has a standard error of 7 %. A warning."""
    above_clean: float = 0.05
    """How far a benchmark's score on all items may lie above that on clean ones: more, and it was learned by heart. A warning."""
    contaminated_share: float = 0.1
    """Share of a benchmark's items at most that documents of the sources held. Those were refused, but a source that holds so
    much of a benchmark may hold the rest in other words. A warning."""

    def __post_init__(self) -> None:
        require(bool(self.models), self, "models", self.models, "at least one model")
        _rising(self, "bits_per_byte")
        for name in ("domain_documents", "document_bytes", "task_items"):
            _at_least(self, name, 1)
        for name in ("above_clean", "contaminated_share"):
            _share(self, name)


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckLimits:
    """The limits of all checks."""

    corpus: CorpusLimits = field(default_factory=CorpusLimits)
    """After curation."""
    token_shards: TokenShardsLimits = field(default_factory=TokenShardsLimits)
    """After the tokenizer and the encoding of the corpus."""
    plan: PlanLimits = field(default_factory=PlanLimits)
    """After scaling."""
    conversations: ConversationsLimits = field(default_factory=ConversationsLimits)
    """Before SFT."""
    preference_pairs: PreferencePairsLimits = field(default_factory=PreferencePairsLimits)
    """Before DPO."""
    training: TrainingLimits = field(default_factory=TrainingLimits)
    """After pretraining, SFT and DPO."""
    evaluation: EvaluationLimits = field(default_factory=EvaluationLimits)
    """After evaluation."""


def _at_least(limits: object, name: str, least: int) -> None:
    require(getattr(limits, name) >= least, limits, name, getattr(limits, name), f"an integer of at least {least}")


def _share(limits: object, name: str) -> None:
    require(0 <= getattr(limits, name) <= 1, limits, name, getattr(limits, name), "a share from 0 to 1")


def _rising(limits: object, name: str) -> None:
    low, high = getattr(limits, name)
    require(0 < low <= high, limits, name, (low, high), "two rising positive numbers")
