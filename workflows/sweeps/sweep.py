"""A sweep: everything that decides a ladder of trainings and the law fitted to them, as one frozen value."""

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
    """Data, ladder and grid, how to train and how to fit. Make a variant with `dataclasses.replace`."""

    name: str
    """Also the name of the law."""
    description: str
    """One line for `longrun sweeps`."""
    curation: CurationConfig
    tokenizer: TokenizerConfig
    token_shards: TokenShardsConfig
    pretraining: PretrainingConfig
    """How all of them are trained; ladder and grid choose what `CHOICES` names."""
    ladder: Ladder | None = None
    """The trainings that the law is fitted to, and how much larger the one is that it must predict; None: only a grid."""
    grid: Grid | None = None
    """The trainings that the laws of batch and learning rate are fitted to; None: DeepSeek's stand in."""
    vocabularies: tuple[int, ...] = ()
    """Vocabularies (rows of the embedding) that the ladder is trained with, each with its own tokenizer. The law is then that of
    a text (`TextLaw`), and the target is trained with the vocabulary that it prefers. Empty: that of `tokenizer` alone."""
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
        """The same sweep with one vocabulary, and without a grid. Raises `ConfigError` for one smaller than the bytes."""
        tokenizer = replace(self.tokenizer, regular_tokens=vocab_size - self.tokenizer.special_tokens)
        ladder = self.ladder.in_vocabulary(vocab_size) if self.ladder else None
        return replace(self, tokenizer=tokenizer, ladder=ladder, grid=None, vocabularies=())


def load_sweep(argument: str) -> Sweep:
    """The sweep that a name or `file.py[:function]` means.

    Raises:
        ConfigError: no such sweep, file or function; the function fails or returns something else.
    """
    return gathered(load(argument, Sweep, "workflows.sweeps", BUILT_IN), folder_of(argument))
