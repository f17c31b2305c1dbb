"""The limits of every check between stages, with their reasons.

A `min_…` field is the smallest value that passes, a `max_…` field the largest.
"""

from dataclasses import dataclass, field

from components.artifacts import BASELINES
from components.errors import require
from components.extensions import CHECK, Extension, kind


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnChecks:
    """Checks that a recipe adds to a built-in check."""

    own_checks: tuple[Extension, ...] = field(default=(), metadata=kind(CHECK))
    """The recipe's own checks, run together with this one: classes whose `tables(artifact)` returns tables with rules (see
    `components.checks.own`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusLimits(OwnChecks):
    """What a corpus must look like before a tokenizer is trained on it."""

    min_median_bytes: float = 200
    """Minimum median size of the kept documents, in UTF-8 bytes. Web pages have about 3 kB and source files about 5 kB; far less
    means that extraction returns fragments."""
    max_median_bytes: float = 50_000
    """Maximum median size of the kept documents, in UTF-8 bytes; more means that documents were not separated."""
    max_document_bytes: int = 50_000_000
    """Maximum size of a kept document, in UTF-8 bytes. The largest books stay below 10 MB, so more is a data dump that was not
    split into documents."""
    min_domain_share: float = 0.001
    """Minimum share of a domain in the kept training bytes. Below 0.1 %, a mixture share of a few per cent repeats the domain
    beyond any epoch limit."""
    max_domain_share: float = 0.98
    """Maximum share of a domain in the kept training bytes, if there are several domains. With more, the corpus is not balanced
    as the paper requires (section 2.1)."""
    min_validation_documents: int = 100
    """Minimum number of validation documents in each domain; with fewer, bits per byte depends on which documents were drawn."""
    max_refused_share: float = 0.95
    """Maximum share of a source's documents that are refused by filters or removed as duplicates. The paper removes 89.8 % of 91
    dumps as duplicates (table 1), so more means that a filter misjudges the source."""
    max_omitted_share: float = 0.5
    """Maximum share of the items of a benchmark that are left out because they cannot be read; these are not searched for in
    documents. For documents, `max_refused_share` is the limit. From a tenth, the run shows a warning."""
    max_set_aside_files: int = 0
    """Maximum number of a source's files that were set aside because they could not be read; their errors are in
    `metrics/set_aside.parquet`."""
    max_duplicate_share: float = 0.9
    """Loss budget of a source: the maximum share of its documents that is removed as duplicates, and the maximum share of its
    bytes that is removed as duplicates and repeated passages. The paper's 91 dumps lost 89.8 % together; more means that the
    source repeats another one, or that its documents are made from a template."""
    max_duplicate_share_by_source: dict[str, float] = field(default_factory=dict)
    """Loss budgets of individual sources that differ from `max_duplicate_share`, by `NAME (DOMAIN)`, such as
    `{"web-jsonl (web)": 0.5}`."""
    max_low_quality_share: float = 0.3
    """Maximum share of the documents of each language and domain that the learned quality score refuses. The recipe's
    `quality.max_refused_share` limits it too; this limit is for checking a corpus that was curated by another recipe."""
    max_cluster_share: float = 0.25
    """Maximum share of a source's documents that are removed in favour of one kept document. A document that resembles a quarter
    of its source is an error page or a template, which filters should refuse."""
    min_cluster_documents: int = 20
    """Removed documents from which a cluster is checked against `max_cluster_share`. In a source of three documents, a single
    copy is a third, which means nothing."""
    min_removal_precision: float = 0.98
    """Minimum lower end of the 95 % confidence interval of the precision of removals: the share whose similarity to the kept
    document, measured again on a sample, reaches the threshold. 400 correct removals out of many give 0.9908. A sample too small
    to show 0.98 (fewer than 183 removals, see `curation.audited_removals`) must be entirely correct."""

    def __post_init__(self) -> None:
        _ordered(self, "median_bytes")
        _ordered(self, "domain_share")
        _integers(self, 0, "max_set_aside_files")
        _integers(self, 1, "max_document_bytes", "min_validation_documents", "min_cluster_documents")
        shares = self.max_duplicate_share_by_source
        within = all(0 <= share <= 1 for share in shares.values())
        require(within, self, "max_duplicate_share_by_source", shares, "shares from 0 to 1")
        _shares(self, "max_refused_share", "max_duplicate_share", "max_low_quality_share", "max_cluster_share")
        _shares(self, "min_removal_precision", "max_omitted_share")


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenShardsLimits(OwnChecks):
    """What token shards must look like before a model is trained on them."""

    min_bytes_per_token: float = 1.0
    """Minimum UTF-8 bytes per token in each split and domain, counting BOS and EOS. A byte-level BPE cannot fall far below 1."""
    max_bytes_per_token: float = 12.0
    """Maximum UTF-8 bytes per token in each split and domain. GPT-2's tokenizer has 4.5 bytes per token in English; 12 means that
    repeated text was merged into long tokens."""
    max_round_trip_failures: int = 0
    """Maximum number of documents whose text differs after encoding and decoding; a byte-level BPE is lossless."""
    min_tokens_per_split: int = 1
    """Minimum number of tokens of each domain of the mixture in each split."""

    def __post_init__(self) -> None:
        _ordered(self, "bytes_per_token")
        _integers(self, 0, "max_round_trip_failures")
        _integers(self, 1, "min_tokens_per_split")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanLimits(OwnChecks):
    """What a training plan must look like before compute is spent on it."""

    max_warmup_share: float = 0.05
    """Maximum share of the steps spent on warm-up. The paper's 2 000 steps are 0.9 % of its 7B run; more than 5 % leaves too
    little of the schedule."""
    max_learning_rate: float = 0.01
    """Maximum peak learning rate. AdamW on a transformer diverges above it (the paper's grid ends below 4e-3, figure 2)."""
    max_memory_bytes: int = 80_000_000_000
    """Maximum expected memory of one worker, in bytes; the default is one 80 GB GPU."""
    max_law_ratio: float = 2.0
    """Maximum factor, in either direction, between the chosen learning rate and the scaling law's; checked only in the compute
    range that the law was fitted on. The paper's own 4.2e-4 and 3.2e-4 are within 3 % of the law, and figure 2 shows a plateau of
    about a factor of 2. Exceeding it is only a warning."""

    def __post_init__(self) -> None:
        _shares(self, "max_warmup_share")
        _positive(self, "max_learning_rate")
        _integers(self, 1, "max_memory_bytes")
        require(self.max_law_ratio >= 1, self, "max_law_ratio", self.max_law_ratio, "a factor of at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversationsLimits(OwnChecks):
    """What conversations must look like before a model is fine-tuned on them."""

    min_conversations_per_split: int = 100
    """Minimum number of conversations in each split; with fewer, the loss depends on which conversations were drawn."""
    max_characters_per_role: int = 100_000
    """Maximum characters of all prompts of a conversation together, and of all its answers together: about 25 000 tokens of
    English, six times the paper's context of 4 096 tokens (table 2)."""
    min_median_answer_characters: float = 10
    """Minimum median length of the answers, in characters; shorter answers teach the model to say nothing."""
    max_median_answer_characters: float = 8_000
    """Maximum median length of the answers, in characters; longer answers do not fit the context."""
    max_omitted_share: float = 0.5
    """Maximum share of the lines of a file that are left out because they cannot be used. A file that loses more than half is
    not in the expected format. From a tenth, the run shows a warning."""

    def __post_init__(self) -> None:
        _integers(self, 1, "min_conversations_per_split", "max_characters_per_role")
        _shares(self, "max_omitted_share")
        _ordered(self, "median_answer_characters")


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePairsLimits(OwnChecks):
    """What preference pairs must look like before a model is optimised on them."""

    min_pairs_per_split: int = 50
    """Minimum number of pairs of each kind in each split; with fewer, the reward margin is noise (with 50, an accuracy has a
    standard error of 7 %)."""
    max_equal_length_share: float = 0.2
    """Maximum share of a kind's pairs whose two answers are equally long. More than chance explains means that the two answers
    are the same text, which gives no gradient."""
    min_length_ratio: float = 0.2
    """Minimum median ratio of the chosen answer's characters to the rejected answer's, for each kind. If their lengths differ
    systematically, DPO learns length (Park et al., arXiv 2403.19159). Falling below is only a warning."""
    max_length_ratio: float = 5.0
    """Maximum median ratio of the chosen answer's characters to the rejected answer's, for each kind; see `min_length_ratio`.
    Exceeding it is only a warning."""
    max_omitted_share: float = 0.5
    """Maximum share of the lines of a file, and of the conversations to be answered, that are left out because they cannot be
    used. From a tenth, the run shows a warning."""

    def __post_init__(self) -> None:
        _integers(self, 1, "min_pairs_per_split")
        _shares(self, "max_equal_length_share", "max_omitted_share")
        _ordered(self, "length_ratio")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingLimits(OwnChecks):
    """What any training run must look like before its checkpoint is used."""

    CHECK = ""
    """Name of the check, and of these limits in a recipe."""

    max_not_finite_steps: int = 0
    """Maximum number of steps with a loss or gradient that is not finite. Raise it only if training is configured to skip such
    steps."""
    max_gradient_norm: float = 100.0
    """Maximum L2 norm of the gradient before clipping. The paper clips at 1.0 (section 2.3); a gradient a hundred times as long
    indicates a broken batch or a loss of precision."""
    max_loss_ratio: float = 1.0
    """Maximum ratio of the mean training loss over the last tenth of the steps to that over the first tenth, and over at least 20
    steps: the loss of a single step is noise. Below 1, the loss fell. Not judged with fewer than 40 steps, or if the training
    measured held-out data."""

    def __post_init__(self) -> None:
        _integers(self, 0, "max_not_finite_steps")
        _positive(self, "max_gradient_norm", "max_loss_ratio")


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingLimits(TrainingLimits):
    """What pretraining must look like before its checkpoint is used."""

    CHECK = "pretraining"

    max_mixture_deviation: float = 0.02
    """Maximum absolute difference between a domain's share of the tokens seen and its target share. At 0.02, a domain as small
    as two per cent of the mixture could be missing unnoticed."""

    def __post_init__(self) -> None:
        TrainingLimits.__post_init__(self)
        _shares(self, "max_mixture_deviation")


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningLimits(TrainingLimits):
    """What SFT or DPO must look like before its checkpoint is used."""

    max_omitted_share: float = 0.5
    """Maximum share of the conversations or pairs of a file that SFT or DPO leaves out because they are too long for the context.
    The longest are lost first, so a model trained on less than half has learned other answers than the file contains. From a
    tenth, the run shows a warning."""
    max_worse_measures: int = 0
    """Maximum number of held-out measures that the training made worse, beyond their 95 % confidence interval: the loss of the
    answers of SFT, and the reward margin of DPO."""

    def __post_init__(self) -> None:
        TrainingLimits.__post_init__(self)
        _integers(self, 0, "max_worse_measures")
        _shares(self, "max_omitted_share")


@dataclass(frozen=True, kw_only=True, slots=True)
class SFTLimits(TuningLimits):
    """What SFT must look like before its checkpoint is used."""

    CHECK = "sft"


@dataclass(frozen=True, kw_only=True, slots=True)
class DPOLimits(TuningLimits):
    """What DPO must look like before its checkpoint is used."""

    CHECK = "dpo"


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationLimits(OwnChecks):
    """What an evaluation must have measured before a model is registered."""

    min_models: tuple[str, ...] = ("base", "sft", "dpo")
    """Models that must be in the tables; there may be more."""
    min_baselines: tuple[str, ...] = BASELINES
    """Baselines that the bits-per-byte table must include as well; there may be more."""
    min_bits_per_byte: float = 0.05
    """Minimum bits per byte of a model or baseline on a domain; no known text compresses further."""
    max_bits_per_byte: float = 16.0
    """Maximum bits per byte of a model or baseline on a domain. Uniformly random bytes take 8; a model may be worse, but a value
    twice as high indicates a measurement error."""
    min_documents_per_domain: int = 20
    """Minimum number of documents measured in each domain."""
    min_document_bytes: int = 1000
    """Minimum mean size of the measured documents of a domain, in UTF-8 bytes: only documents of at least 1 kB are measured (see
    `components.generation.bits_per_byte`)."""
    min_items_per_task: int = 50
    """Minimum number of items of a task, and of clean items of a benchmark; with 50, an accuracy has a standard error of 7 %.
    Falling below is only a warning."""
    max_above_clean: float = 0.05
    """Maximum amount by which a benchmark's score on all items exceeds its score on clean items; more suggests memorised items.
    Exceeding it is only a warning."""
    max_contaminated_share: float = 0.1
    """Maximum share of a benchmark's items that occur in documents of the sources. Those documents were refused, but a source
    with so many items may contain the others in different words. Exceeding it is only a warning."""
    max_omitted_share: float = 0.5
    """Maximum share of the items of a benchmark or task that are left out because they cannot be presented to the models. A score
    on less than half of a benchmark is not its score. From a tenth, the run shows a warning."""

    def __post_init__(self) -> None:
        require(bool(self.min_models), self, "min_models", self.min_models, "at least one model")
        _ordered(self, "bits_per_byte")
        _integers(self, 1, "min_documents_per_domain", "min_document_bytes", "min_items_per_task")
        _shares(self, "max_above_clean", "max_contaminated_share", "max_omitted_share")


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckLimits:
    """The limits of all checks."""

    corpus: CorpusLimits = field(default_factory=CorpusLimits)
    """Checked after curation."""
    token_shards: TokenShardsLimits = field(default_factory=TokenShardsLimits)
    """Checked after the tokenizer is trained and the corpus is encoded."""
    plan: PlanLimits = field(default_factory=PlanLimits)
    """Checked after scaling."""
    pretraining: PretrainingLimits = field(default_factory=PretrainingLimits)
    """Checked after pretraining."""
    conversations: ConversationsLimits = field(default_factory=ConversationsLimits)
    """Checked before SFT."""
    sft: SFTLimits = field(default_factory=SFTLimits)
    """Checked after SFT."""
    preference_pairs: PreferencePairsLimits = field(default_factory=PreferencePairsLimits)
    """Checked before DPO."""
    dpo: DPOLimits = field(default_factory=DPOLimits)
    """Checked after DPO."""
    evaluation: EvaluationLimits = field(default_factory=EvaluationLimits)
    """Checked after evaluation."""

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
    """Require that both limits of a quantity are positive and that its `min_` is at most its `max_`."""
    smallest, largest = getattr(limits, f"min_{quantity}"), getattr(limits, f"max_{quantity}")
    allowed = f"a positive number up to max_{quantity} ({largest})"
    require(0 < smallest <= largest, limits, f"min_{quantity}", smallest, allowed)
