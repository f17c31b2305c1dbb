"""Configs of alignment: conversations, fine-tuning, preference pairs, preference optimisation.

Defaults are the values of DeepSeek LLM (arXiv 2401.02954, section 4, for the 7B model) where the paper gives them.
"""

from dataclasses import dataclass, field, replace

from components.errors import require
from components.file_names import names_files
from components.training.config import CheckpointConfig, ScheduleConfig, TrainingConfig

PAIR_KINDS = ("author-vs-sample", "right-vs-other")
"""Kinds of embedded preference pairs: an author's text against a sampled answer, or against the text of another function."""

SFT_TRAINING = TrainingConfig(
    schedule=ScheduleConfig(kind="cosine"),
    micro_batch_tokens=16_384,
    validation_steps=None,
    checkpoints=CheckpointConfig(permanent=()),
)
"""Default training config of SFT. The paper gives no schedule for SFT; cosine is InstructGPT's (arXiv 2203.02155, appendix C.1).
Conversations are padded, so smaller micro-batches than in pretraining need less memory and less padding."""

DPO_TRAINING = replace(SFT_TRAINING, schedule=ScheduleConfig(kind="cosine", final_factor=0.0))
"""Default training config of DPO (paper, section 4: cosine)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversationsConfig:
    """The conversations for fine-tuning: the user's own files, and instructions made from installed Python packages."""

    sources: tuple[str, ...] = field(default=(), metadata=names_files())
    """JSONL files with one conversation per line (plain, .gz or .zst; paths, or URIs in a bucket). Each line has `messages` and
    optionally `group`, `split` and `licence`."""
    distributions: tuple[str, ...] = ()
    """Installed Python distributions from whose functions instructions are made; each keeps the split that it has in the
    corpus."""
    max_conversations: int = 1_500_000
    """Maximum training conversations from all sources together (paper, section 4: about 1.5 M)."""
    max_validation_conversations: int = 10_000
    """Maximum held-out conversations; 10 000 determine the loss to about 1 %."""
    max_instructions_per_distribution: int = 20_000
    """Maximum instructions per distribution. Instructions are taken from the distributions in turn until there are enough."""
    describe_share: float = 0.5
    """Fraction of the embedded instructions that ask for a description of a function; the others ask for a function that
    matches a description."""
    max_prompt_characters: int = 400
    """Maximum characters of an embedded prompt; functions with longer signatures are skipped."""
    max_answer_characters: int = 400
    """Maximum characters of an embedded answer; the first paragraph of a docstring is rarely longer."""
    validation_share: float = 0.01
    """Fraction of groups to hold out, among groups whose split is given neither by the corpus nor by a line."""
    seed: int = 0
    """Random seed for choosing instructions and their wording."""

    def __post_init__(self) -> None:
        require(
            bool(self.sources or self.distributions), self, "sources", self.sources, "at least one, unless distributions has one"
        )
        _positive(self, "max_conversations", "max_validation_conversations", "max_instructions_per_distribution")
        _positive(self, "max_prompt_characters", "max_answer_characters")
        require(0 <= self.describe_share <= 1, self, "describe_share", self.describe_share, "a fraction from 0 to 1")
        require(0 < self.validation_share < 1, self, "validation_share", self.validation_share, "a fraction between 0 and 1")
        require(self.seed >= 0, self, "seed", self.seed, "an integer from 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class SFTConfig:
    """Supervised fine-tuning. The loss covers only the answers and their end tokens; prompts are masked."""

    epochs: int = 4
    """Number of passes over the conversations (paper, section 4: 4 for 7B; 2 for 67B, which overfits)."""
    learning_rate: float = 1e-5
    """Maximum learning rate (paper, section 4: 1e-5 for 7B, 5e-6 for 67B)."""
    batch_size: int = 64
    """Conversations per step. The paper gives no value; InstructGPT (arXiv 2203.02155, appendix C.1) uses 32."""
    warmup_share: float = 0.03
    """Fraction of the steps with linear warm-up. The paper gives no value; Alpaca and Vicuna use 3 %."""
    max_length: int | None = None
    """Maximum tokens of a conversation; longer ones are skipped and counted, not truncated. None: the model's context."""
    max_validation_conversations: int = 10_000
    """Maximum held-out conversations of each task on which the loss is measured before and after training."""
    training: TrainingConfig = SFT_TRAINING
    """How to train. Whatever its validation_steps, the model is also measured before and after training."""
    seed: int = 0
    """Random seed of the order of the conversations."""

    def __post_init__(self) -> None:
        _check_tuning(self)
        _positive(self, "max_validation_conversations")


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePairsConfig:
    """The preference pairs for DPO: the user's own files, and pairs made from the embedded conversations."""

    kinds: tuple[str, ...] = PAIR_KINDS
    """Kinds of embedded pairs. "author-vs-sample": an author's text is preferred to an answer sampled from the SFT model, as in
    the paper (section 4); "right-vs-other": it is preferred to the text of another function, without sampling. Empty: only
    `sources`."""
    sources: tuple[str, ...] = field(default=(), metadata=names_files())
    """JSONL files with one pair per line (plain, .gz or .zst; paths, or URIs in a bucket). Each line has `prompt`, `chosen` and
    `rejected`, and optionally `group` and `split`."""
    max_pairs_per_kind: int = 100_000
    """Maximum training pairs of each kind; the paper gives no number."""
    max_validation_pairs_per_kind: int = 2_000
    """Maximum held-out pairs of each kind; 2 000 determine an accuracy to about 1 %."""
    max_new_tokens: int = 512
    """Maximum tokens of a sampled answer."""
    temperature: float = 1.0
    """Temperature of the sampled answers; 1 samples from the model's distribution, as DPO's derivation assumes."""
    top_p: float = 1.0
    """Probability mass of nucleus sampling (arXiv 1904.09751); 1 keeps every token."""
    batch_size: int = 64
    """Prompts sampled at a time; limits memory use."""
    validation_share: float = 0.01
    """Fraction of the groups of `sources` to hold out, among groups whose split is given neither by the conversations nor by a
    line."""
    seed: int = 0
    """Random seed for choosing prompts, sampling answers, and pairing functions."""

    def __post_init__(self) -> None:
        require(bool(self.kinds or self.sources), self, "kinds", self.kinds, "at least one, unless sources has one")
        known = len(set(self.kinds)) == len(self.kinds) and set(self.kinds) <= set(PAIR_KINDS)
        require(known, self, "kinds", self.kinds, f"each of {', '.join(PAIR_KINDS)} at most once")
        _positive(self, "max_pairs_per_kind", "max_validation_pairs_per_kind", "max_new_tokens", "batch_size")
        require(self.temperature >= 0, self, "temperature", self.temperature, "a number from 0 (greedy)")
        require(0 < self.top_p <= 1, self, "top_p", self.top_p, "a number above 0, up to 1")
        require(0 < self.validation_share < 1, self, "validation_share", self.validation_share, "a fraction between 0 and 1")
        require(self.seed >= 0, self, "seed", self.seed, "an integer from 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class DPOConfig:
    """Direct preference optimisation (arXiv 2305.18290) with the frozen SFT model as the reference."""

    beta: float = 0.1
    """Strength with which the model is kept close to the reference model (DPO paper, appendix B: 0.1)."""
    epochs: int = 1
    """Number of passes over the pairs (DeepSeek LLM, section 4)."""
    learning_rate: float = 5e-6
    """Maximum learning rate (DeepSeek LLM, section 4)."""
    batch_size: int = 512
    """Pairs per step (DeepSeek LLM, section 4)."""
    warmup_share: float = 0.1
    """Fraction of the steps with linear warm-up. The paper gives no value; Zephyr's DPO (arXiv 2310.16944) uses 10 %."""
    max_length: int | None = None
    """Maximum tokens of a prompt with its answer; pairs with a longer one are skipped and counted. None: the model's context."""
    max_validation_pairs_per_kind: int = 2_000
    """Maximum held-out pairs of each kind on which margins are measured before and after training."""
    training: TrainingConfig = DPO_TRAINING
    """How to train. Whatever its validation_steps, the model is also measured before and after training."""
    seed: int = 0
    """Random seed of the order of the pairs."""

    def __post_init__(self) -> None:
        require(self.beta > 0, self, "beta", self.beta, "a positive number")
        _check_tuning(self)
        _positive(self, "max_validation_pairs_per_kind")


def _check_tuning(config: SFTConfig | DPOConfig) -> None:
    """Raise `ConfigError` for bad values of the fields that SFT and DPO share, and for options that they do not support."""
    _positive(config, "epochs", "learning_rate", "batch_size")
    require(0 <= config.warmup_share <= 1, config, "warmup_share", config.warmup_share, "a fraction from 0 to 1")
    length = config.max_length
    require(length is None or length > 0, config, "max_length", length, "a positive number or None")
    require(config.seed >= 0, config, "seed", config.seed, "an integer from 0")
    training, layout = config.training, config.training.layout
    permanent = training.checkpoints.permanent
    require(not permanent, config, "training.checkpoints.permanent", permanent, "(): branching is not supported in SFT and DPO")
    for name in ("tensor", "sequence", "pipeline", "zero_stage"):
        value = getattr(layout, name)
        require(value == 1, config, f"training.layout.{name}", value, "1: in SFT and DPO each worker holds the whole model")


def _positive(config: object, *names: str) -> None:
    for name in names:
        require(getattr(config, name) > 0, config, name, getattr(config, name), "a positive number")
