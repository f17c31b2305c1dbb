"""What alignment learns from and how: conversations, fine-tuning, preference pairs, preference optimisation.

Defaults are the figures of DeepSeek LLM (arXiv 2401.02954, section 4, for the 7B model) where it gives one.
"""

from dataclasses import dataclass, field, replace

from components.errors import require
from components.file_names import names_files
from components.training.config import CheckpointConfig, ScheduleConfig, TrainingConfig

PAIR_KINDS = ("author-vs-sample", "right-vs-other")
"""Kinds of embedded preference pairs: the authors' words against the model's own sample, and against another function's."""

SFT_TRAINING = TrainingConfig(
    schedule=ScheduleConfig(kind="cosine"),
    micro_batch_tokens=16_384,
    validation_steps=None,
    checkpoints=CheckpointConfig(permanent=()),
)
"""How SFT trains where a recipe does not say otherwise. The paper names no schedule for it, cosine is InstructGPT's (arXiv
2203.02155, appendix C.1). Of conversations, which are padded, fewer tokens in a micro-batch take less memory and pad less."""

DPO_TRAINING = replace(SFT_TRAINING, schedule=ScheduleConfig(kind="cosine", final_factor=0.0))
"""How DPO trains where a recipe does not say otherwise (paper, section 4: cosine)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversationsConfig:
    """Which conversations there are: instructions made from installed packages, and files of one's own."""

    sources: tuple[str, ...] = field(default=(), metadata=names_files())
    """JSONL files (plain, .gz, .zst; paths, or URIs in a bucket) whose lines hold `messages`; `group`, `split` and `licence` are
    optional."""
    distributions: tuple[str, ...] = ()
    """Installed distributions whose functions give instructions; each is in the split that the corpus gave it."""
    max_conversations: int = 1_500_000
    """Training conversations, all sources together (paper, section 4: about 1.5 M)."""
    max_validation_conversations: int = 10_000
    """Held-out conversations: enough to know the loss to about 1 %."""
    max_instructions_per_distribution: int = 20_000
    """Instructions from one distribution; they are taken from one after the other in turn, until there are enough."""
    describe_share: float = 0.5
    """Share of the embedded instructions that ask what a function does; the others ask for a function that fits a description."""
    max_prompt_characters: int = 400
    """Longest embedded prompt: longer signatures are lists of options rather than functions to ask about."""
    max_answer_characters: int = 400
    """Longest embedded answer: a docstring's first paragraph seldom needs more."""
    validation_share: float = 0.01
    """Share of the groups held out where neither the corpus nor the line names the split of a group."""
    max_bad_lines: int = 100
    """Unusable lines of one file that are refused and counted; with more, the file is taken for another kind of data."""
    seed: int = 0
    """Draws which instructions are kept, and their wording."""

    def __post_init__(self) -> None:
        require(bool(self.sources or self.distributions), self, "sources", self.sources, "a source, or else distributions")
        _positive(self, "max_conversations", "max_validation_conversations", "max_instructions_per_distribution")
        _positive(self, "max_prompt_characters", "max_answer_characters")
        require(0 <= self.describe_share <= 1, self, "describe_share", self.describe_share, "a share from 0 to 1")
        _reading(self, self.validation_share, self.max_bad_lines)
        require(self.seed >= 0, self, "seed", self.seed, "an integer of at least 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class SFTConfig:
    """Supervised fine-tuning: prompts masked, the answers (and the end of each) learned."""

    epochs: int = 4
    """Passes over the conversations (paper, section 4: 4 for 7B; 2 for 67B, which overfits)."""
    learning_rate: float = 1e-5
    """Maximum learning rate (paper, section 4: 1e-5 for 7B, 5e-6 for 67B)."""
    batch_size: int = 64
    """Conversations in a step; the paper gives none, InstructGPT's appendix C.1 (arXiv 2203.02155) takes 32."""
    warmup_share: float = 0.03
    """Share of the steps with linear warm-up; the paper gives none, Alpaca's and Vicuna's recipes take 3 %."""
    max_length: int | None = None
    """Longest conversation in tokens; longer ones are left out and counted, never truncated. None: the model's context."""
    max_validation_conversations: int = 10_000
    """Held-out conversations on which the loss is measured before and after."""
    training: TrainingConfig = SFT_TRAINING
    """How to train; what is held out is measured before and after in any case."""
    seed: int = 0
    """Draws the order of the conversations."""

    def __post_init__(self) -> None:
        _check_tuning(self)
        _positive(self, "max_validation_conversations")


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePairsConfig:
    """Which preference pairs there are: of the SFT model's own samples, of other functions' words, and files of one's own."""

    kinds: tuple[str, ...] = PAIR_KINDS
    """Embedded kinds: "author-vs-sample" is the paper's (candidates sampled from the SFT model, section 4),
    "right-vs-other" needs no sample; none: only `sources`."""
    sources: tuple[str, ...] = field(default=(), metadata=names_files())
    """JSONL files (plain, .gz, .zst; paths, or URIs in a bucket) whose lines hold `prompt`, `chosen` and `rejected`, and
    optionally `group` and `split`."""
    max_pairs_per_kind: int = 100_000
    """Training pairs of each kind; the paper gives no number."""
    max_validation_pairs_per_kind: int = 2_000
    """Held-out pairs of each kind: enough to know an accuracy to about 1 %."""
    max_new_tokens: int = 512
    """Longest sample, in tokens."""
    temperature: float = 1.0
    """Of the samples; 1 is the model's own distribution, from which DPO's derivation takes its candidates."""
    top_p: float = 1.0
    """Nucleus of the samples (arXiv 1904.09751); 1 keeps every token."""
    batch_size: int = 64
    """Prompts sampled at once; bounds memory."""
    validation_share: float = 0.01
    """Share of the groups of `sources` held out where neither the conversations nor the line names the split of a group."""
    max_bad_lines: int = 100
    """Unusable lines of one file that are refused and counted; with more, the file is taken for another kind of data."""
    seed: int = 0
    """Draws the prompts, the samples and the other functions."""

    def __post_init__(self) -> None:
        require(bool(self.kinds or self.sources), self, "kinds", self.kinds, "a kind, or else sources")
        known = len(set(self.kinds)) == len(self.kinds) and set(self.kinds) <= set(PAIR_KINDS)
        require(known, self, "kinds", self.kinds, f"each of {', '.join(PAIR_KINDS)} at most once")
        _positive(self, "max_pairs_per_kind", "max_validation_pairs_per_kind", "max_new_tokens", "batch_size")
        require(self.temperature >= 0, self, "temperature", self.temperature, "0 (greedy) or more")
        require(0 < self.top_p <= 1, self, "top_p", self.top_p, "a share above 0, up to 1")
        _reading(self, self.validation_share, self.max_bad_lines)
        require(self.seed >= 0, self, "seed", self.seed, "an integer of at least 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class DPOConfig:
    """Direct preference optimisation (arXiv 2305.18290) against the frozen SFT model."""

    beta: float = 0.1
    """Strength of the tie to the frozen model (DPO paper, appendix B: 0.1)."""
    epochs: int = 1
    """Passes over the pairs (DeepSeek LLM, section 4)."""
    learning_rate: float = 5e-6
    """Maximum learning rate (DeepSeek LLM, section 4)."""
    batch_size: int = 512
    """Pairs in a step (DeepSeek LLM, section 4)."""
    warmup_share: float = 0.1
    """Share of the steps with linear warm-up; the paper gives no length, Zephyr's DPO (arXiv 2310.16944) takes 10 %."""
    max_length: int | None = None
    """Longest prompt with answer, in tokens; pairs with a longer one are left out and counted. None: the model's context."""
    max_validation_pairs_per_kind: int = 2_000
    """Held-out pairs of each kind on which margins are measured before and after."""
    training: TrainingConfig = DPO_TRAINING
    """How to train; what is held out is measured before and after in any case."""
    seed: int = 0
    """Draws the order of the pairs."""

    def __post_init__(self) -> None:
        require(self.beta > 0, self, "beta", self.beta, "a positive number")
        _check_tuning(self)
        _positive(self, "max_validation_pairs_per_kind")


def _check_tuning(config: SFTConfig | DPOConfig) -> None:
    """Refuse bad values of the fields that both kinds of tuning have, and what a tuning cannot do."""
    _positive(config, "epochs", "learning_rate", "batch_size")
    require(0 <= config.warmup_share <= 1, config, "warmup_share", config.warmup_share, "a share from 0 to 1")
    length = config.max_length
    require(length is None or length > 0, config, "max_length", length, "a positive number or None")
    require(config.seed >= 0, config, "seed", config.seed, "an integer of at least 0")
    training, layout = config.training, config.training.layout
    permanent = training.checkpoints.permanent
    require(not permanent, config, "training.checkpoints.permanent", permanent, "(): nothing branches from a tuning")
    for name in ("tensor", "sequence", "pipeline", "zero_stage"):
        value = getattr(layout, name)
        require(value == 1, config, f"training.layout.{name}", value, "1: a tuning holds the whole model on each worker")


def _reading(config: ConversationsConfig | PreferencePairsConfig, share: float, limit: int) -> None:
    require(0 < share < 1, config, "validation_share", share, "a share between 0 and 1")
    require(limit >= 0, config, "max_bad_lines", limit, "0 or more")


def _positive(config: object, *names: str) -> None:
    for name in names:
        require(getattr(config, name) > 0, config, name, getattr(config, name), "a positive number")
