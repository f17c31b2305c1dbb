"""A sweep: everything that decides a ladder of training runs and the law fitted to them, as one frozen value."""

from dataclasses import dataclass, field, replace

from components.checks.limits import CheckLimits
from components.curation.config import CurationConfig
from components.errors import require
from components.extensions import gathered
from components.pretraining.config import PretrainingConfig
from components.scaling.config import FitConfig
from components.scaling.laws.text_law import SCALE
from components.scaling.sweeps.grid import Grid
from components.scaling.sweeps.ladder import Ladder
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from components.training.config import CHOICES
from workflows.loading import folder_of, load

BUILT_IN = ("tiny-ladder", "tiny-grid", "tiny-text", "python-text")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """The data, the training runs and the fit of a sweep. Make a variant with `dataclasses.replace`."""

    name: str
    """Name of the sweep, and of the law that it fits."""
    description: str
    """One line that `longrun sweeps` shows."""
    curation: CurationConfig
    tokenizer: TokenizerConfig
    token_shards: TokenShardsConfig
    pretraining: PretrainingConfig
    """Config of every training run; the fields in `CHOICES` must be None, since ladder and grid set them."""
    ladder: Ladder | None = None
    """Trainings to which the law is fitted, and the size of the larger one that tests its prediction; None: only a grid."""
    grid: Grid | None = None
    """Trainings to which laws of batch size and learning rate are fitted; None: use those of DeepSeek LLM."""
    vocabularies: tuple[int, ...] = ()
    """Vocabulary sizes (rows of the embedding) with which the ladder is trained, each with its own tokenizer. The fitted law is
    then a `TextLaw`, and the larger training has the vocabulary that it predicts to be best. Empty: only that of `tokenizer`."""
    fit: FitConfig = field(default_factory=lambda: FitConfig(scale=SCALE))
    """How the law is fitted."""
    checks: CheckLimits = field(default_factory=CheckLimits)

    def __post_init__(self) -> None:
        chosen = [name for name in CHOICES if getattr(self.pretraining, name) is not None]
        require(bool(self.ladder or self.grid), self, "ladder", None, "a ladder, a grid, or both")
        require(not chosen, self, "pretraining", f"one with {', '.join(chosen)}", "none of these: ladder and grid choose them")
        require(self.fit.scale == SCALE, self, "fit.scale", self.fit.scale, SCALE)
        if self.vocabularies:
            self._require_vocabularies()

    def _require_vocabularies(self) -> None:
        sizes, multiple = self.vocabularies, self.tokenizer.vocab_multiple
        rising = len(sizes) >= 2 and list(sizes) == sorted(set(sizes)) and self.ladder is not None
        require(rising, self, "vocabularies", sizes, "two or more rising sizes for a ladder, or none")
        divisible = all(size % multiple == 0 for size in sizes)
        require(divisible, self, "vocabularies", sizes, f"multiples of tokenizer.vocab_multiple, {multiple}")

    def in_vocabulary(self, vocab_size: int) -> "Sweep":
        """The sweep with one vocabulary size and without a grid. Raises `ConfigError` if the size cannot hold all 256 bytes."""
        tokenizer = replace(self.tokenizer, regular_tokens=vocab_size - self.tokenizer.special_tokens)
        ladder = self.ladder.in_vocabulary(vocab_size) if self.ladder else None
        return replace(self, tokenizer=tokenizer, ladder=ladder, grid=None, vocabularies=())


def load_sweep(argument: str) -> Sweep:
    """Load a sweep by its name or `file.py[:function]`.

    Raises:
        ConfigError: there is no such sweep, file or function; or the function fails or does not return a sweep.
    """
    return gathered(load(argument, Sweep, "workflows.sweeps", BUILT_IN), folder_of(argument))
