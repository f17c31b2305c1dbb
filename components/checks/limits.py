"""What each stage's output may look like before the next stage starts: the limits of every check, and their reasons.

`min_…` is the smallest value that passes, `max_…` the largest.
"""

from dataclasses import dataclass, field

from components.artifacts import BASELINES
from components.errors import require
from components.extensions import CHECK, Extension, kind


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnChecks:
    """What every check may have besides its limits."""

    own_checks: tuple[Extension, ...] = field(default=(), metadata=kind(CHECK))
    """Checks of the recipe's own, judged with this one: classes that return tables with rules; `components.checks.own`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusLimits(OwnChecks):
    """What a corpus may look like before a tokenizer is trained on it."""

    min_median_bytes: float = 200
    """Median UTF-8 bytes of a kept document. Web pages have some 3 kB, source files some 5 kB; with far less, extraction returns
    fragments."""
    max_median_bytes: float = 50_000
    """Median UTF-8 bytes of a kept document; with more, documents were glued together."""
    max_document_bytes: int = 50_000_000
    """UTF-8 bytes of a kept document; the largest books stay below 10 MB, so more is a dump that was not divided."""
    min_domain_share: float = 0.001
    """Share of a domain in the kept training bytes. Below a thousandth, a mixture share of a few per cent repeats the domain
    beyond any epoch limit."""
    max_domain_share: float = 0.98
    """Share of a domain in the kept training bytes. A corpus of nearly one domain is not the balanced one of the paper,
    section 2.1."""
    min_validation_documents: int = 100
    """Kept validation documents of a domain: bits per byte of fewer documents depends on which they are."""
    max_refused_share: float = 0.95
    """Share of a source's documents refused or removed. The paper's own removal over 91 dumps is 89.8 % (table 1), so more means
    that a filter misreads the source."""
    max_set_aside_files: int = 0
    """Files of a source that could not be read and were set aside: `metrics/set_aside.parquet` has their errors."""
    max_duplicate_share: float = 0.9
    """The loss budget of a source: the share of its documents, and of its bytes with those of repeated passages, that is removed
    as duplicates. More than the 89.8 % that 91 dumps lost together in the paper means that the source repeats another one, or
    that a template makes its documents alike."""
    max_duplicate_share_by_source: dict[str, float] = field(default_factory=dict)
    """Loss budgets of single sources where they differ from `max_duplicate_share`, by `URI (DOMAIN)`: `{"crawl/ (web)": 0.5}`."""
    max_low_quality_share: float = 0.3
    """Share of each language in each domain refused by the learned quality score; the check shows every one. The recipe's own
    `quality.max_refused_share` bounds it too: this is for readers of a corpus that others made."""
    max_cluster_share: float = 0.25
    """Share of a source's documents removed in favour of a single one: what a quarter of a source is similar to is an error page
    or a template, which filters should refuse."""
    min_cluster_documents: int = 20
    """Documents that a single one must have replaced for `max_cluster_share` to be judged: of three documents one copy is a
    third, and means nothing."""
    min_removal_precision: float = 0.98
    """Lower end of the 95 % interval of the share of removals that have their partner, by the similarity of a recounted sample of
    them. Removals follow a count, so that a single wrong one is an error; 400 right ones of many leave 0.9908. Of a smaller
    sample than can show this (183 for 0.98, see `curation.audited_removals`) all must be right."""

    def __post_init__(self) -> None:
        _ordered(self, "median_bytes")
        _ordered(self, "domain_share")
        _integers(self, 0, "max_set_aside_files")
        _integers(self, 1, "max_document_bytes", "min_validation_documents", "min_cluster_documents")
        shares = self.max_duplicate_share_by_source
        within = all(0 <= share <= 1 for share in shares.values())
        require(within, self, "max_duplicate_share_by_source", shares, "shares from 0 to 1")
        _shares(self, "max_refused_share", "max_duplicate_share", "max_low_quality_share", "max_cluster_share")
        _shares(self, "min_removal_precision")


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenShardsLimits(OwnChecks):
    """What tokens may look like before a model is trained on them."""

    min_bytes_per_token: float = 1.0
    """UTF-8 bytes for one token in each split and domain, BOS and EOS counted. A byte-level BPE cannot fall far below 1."""
    max_bytes_per_token: float = 12.0
    """GPT-2's tokenizer takes 4.5 bytes of English for one token, so 12 means that repeated text was merged into long tokens."""
    max_round_trip_failures: int = 0
    """Documents whose text is not restored from its tokens: a byte-level BPE loses nothing."""
    min_tokens_per_split: int = 1
    """Tokens of each domain of the mixture in each split."""

    def __post_init__(self) -> None:
        _ordered(self, "bytes_per_token")
        _integers(self, 0, "max_round_trip_failures")
        _integers(self, 1, "min_tokens_per_split")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanLimits(OwnChecks):
    """What a plan may ask for before compute is spent on it."""

    max_warmup_share: float = 0.05
    """Share of the steps spent on warm-up. The paper's 2 000 steps are 0.9 % of its 7B run; more than a twentieth leaves too
    little of the schedule."""
    max_learning_rate: float = 0.01
    """Peak learning rate: AdamW on a transformer diverges above (the paper's grid ends below 4e-3, figure 2)."""
    max_memory_bytes: int = 80_000_000_000
    """Expected memory of one worker in bytes: one 80 GB GPU."""
    max_law_ratio: float = 2.0
    """How far the chosen learning rate may lie from the law's, as a factor either way, where the law was fitted: the paper's own
    4.2e-4 and 3.2e-4 are within 3 % of it, and figure 2 shows a plateau of about 2 either way. A warning."""

    def __post_init__(self) -> None:
        _shares(self, "max_warmup_share")
        _positive(self, "max_learning_rate")
        _integers(self, 1, "max_memory_bytes")
        require(self.max_law_ratio >= 1, self, "max_law_ratio", self.max_law_ratio, "a factor of at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversationsLimits(OwnChecks):
    """What conversations may look like before a model is fine-tuned on them."""

    min_conversations_per_split: int = 100
    """Conversations in each split: the loss over fewer depends on which they are."""
    max_characters_per_role: int = 100_000
    """Characters of a conversation's prompts together, and of its answers: some 25 000 tokens of English, six times the paper's
    context (table 2: 4 096)."""
    min_median_answer_characters: float = 10
    """Median characters of the answers: shorter teaches to say nothing."""
    max_median_answer_characters: float = 8_000
    """Median characters of the answers: longer ones no longer fit the context."""

    def __post_init__(self) -> None:
        _integers(self, 1, "min_conversations_per_split", "max_characters_per_role")
        _ordered(self, "median_answer_characters")


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePairsLimits(OwnChecks):
    """What preference pairs may look like before a model is optimised on them."""

    min_pairs_per_split: int = 50
    """Pairs of each kind in each split: the reward margin over fewer is noise (at 50, an accuracy has a standard error of
    7 %)."""
    max_equal_length_share: float = 0.2
    """Share of a kind's pairs whose two answers are equally long: more of them than chance allows means that the two are the same
    text, and an equal pair has no gradient."""
    min_length_ratio: float = 0.2
    """Median of chosen over rejected characters of a kind: DPO learns length where the two differ in it (Park et al.,
    arXiv 2403.19159). A warning."""
    max_length_ratio: float = 5.0
    """Median of chosen over rejected characters of a kind, as above. A warning."""

    def __post_init__(self) -> None:
        _integers(self, 1, "min_pairs_per_split")
        _shares(self, "max_equal_length_share")
        _ordered(self, "length_ratio")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingLimits(OwnChecks):
    """How a training run may have gone before its checkpoint is used."""

    max_not_finite_steps: int = 0
    """Steps whose loss or gradient was not finite: none, unless training was told to skip them."""
    max_gradient_norm: float = 100.0
    """L2 norm of the gradient before clipping. The paper clips at 1.0 (section 2.3); a step a hundred times as long is the sign
    of a broken batch or a loss of precision, not of learning."""
    max_loss_ratio: float = 1.0
    """Mean loss of the last tenth of the steps over that of the first tenth: below 1 it fell."""
    max_mixture_deviation: float = 0.02
    """How far the share of a domain in the tokens seen may lie from its target: two percentage points, the size of a domain
    that one would not notice missing."""

    def __post_init__(self) -> None:
        _integers(self, 0, "max_not_finite_steps")
        _positive(self, "max_gradient_norm", "max_loss_ratio")
        _shares(self, "max_mixture_deviation")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationLimits(OwnChecks):
    """What an evaluation must have measured before a model is registered by it."""

    min_models: tuple[str, ...] = ("base", "sft", "dpo")
    """Models that must be in the tables; there may be more."""
    min_baselines: tuple[str, ...] = BASELINES
    """Baselines that must be beside them in bits per byte; there may be more."""
    min_bits_per_byte: float = 0.05
    """Of a model, or baseline, on a domain: no text is known to take fewer."""
    max_bits_per_byte: float = 16.0
    """Uniform bytes take 8; a model may be worse than uniform, but one twice as bad was measured wrongly."""
    min_documents_per_domain: int = 20
    """Documents measured in each domain."""
    min_document_bytes: int = 1000
    """Mean UTF-8 bytes of the documents of a domain: only those of at least 1 kB are measured (see
    `components.generation.bits_per_byte`)."""
    min_items_per_task: int = 50
    """Items of a task, and clean items of a benchmark: at 50, an accuracy has a standard error of 7 %. A warning."""
    max_above_clean: float = 0.05
    """How far a benchmark's score on all items may lie above that on clean ones: more means that it was memorised. A warning."""
    max_contaminated_share: float = 0.1
    """Share of a benchmark's items that documents of the sources held. Those documents were refused, but a source that holds so
    much of a benchmark may hold the rest in other words. A warning."""

    def __post_init__(self) -> None:
        require(bool(self.min_models), self, "min_models", self.min_models, "at least one model")
        _ordered(self, "bits_per_byte")
        _integers(self, 1, "min_documents_per_domain", "min_document_bytes", "min_items_per_task")
        _shares(self, "max_above_clean", "max_contaminated_share")


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

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            labels = [check.label for check in getattr(self, name).own_checks]
            require(len(set(labels)) == len(labels), self, f"{name}.own_checks", labels, "each name once")


def _integers(limits: object, smallest: int, *names: str) -> None:
    for name in names:
        require(getattr(limits, name) >= smallest, limits, name, getattr(limits, name), f"an integer of at least {smallest}")


def _positive(limits: object, *names: str) -> None:
    for name in names:
        require(getattr(limits, name) > 0, limits, name, getattr(limits, name), "a positive number")


def _shares(limits: object, *names: str) -> None:
    for name in names:
        require(0 <= getattr(limits, name) <= 1, limits, name, getattr(limits, name), "a share from 0 to 1")


def _ordered(limits: object, quantity: str) -> None:
    """Both ends of a quantity are positive, and its `min_` is no larger than its `max_`."""
    smallest, largest = getattr(limits, f"min_{quantity}"), getattr(limits, f"max_{quantity}")
    allowed = f"a positive number up to max_{quantity}, which is {largest}"
    require(0 < smallest <= largest, limits, f"min_{quantity}", smallest, allowed)
