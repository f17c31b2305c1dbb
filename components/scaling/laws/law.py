"""A scaling law as a value. One of which only exponents were published can be compared with others, but makes no plans.

C is the compute budget in FLOPs, D the number of training tokens, and S the model scale as the law's authors counted it
(`SCALES`): C = M·D for the paper's FLOPs per token M, C = 6·N·D for parameters N.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, get_args

from components.artifacts import Figure, JsonFile
from components.errors import ConfigError, require
from components.flops import SCALES

FIGURES: tuple[Figure, ...] = get_args(Figure)
"""What a law can predict."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerLaw:
    """coefficient · C^exponent."""

    exponent: float
    coefficient: float | None = None
    """None: not published."""

    def __post_init__(self) -> None:
        sane = _is_number(self.exponent) and abs(self.exponent) < 1
        require(sane, self, "exponent", self.exponent, "a number between -1 and 1")
        positive = self.coefficient is None or (_is_number(self.coefficient) and self.coefficient > 0)
        require(positive, self, "coefficient", self.coefficient, "a positive number or None")

    def at(self, compute: float) -> float:
        """The value at `compute` FLOPs. Raises `ConfigError` where only the exponent is known."""
        if self.coefficient is None:
            raise ConfigError(f"a law with the exponent {self.exponent} only gives no value; choose one with a coefficient")
        return float(self.coefficient * compute**self.exponent)


@dataclass(frozen=True, kw_only=True, slots=True)
class LossLaw:
    """L(S, D) = E + A / S^alpha + B / D^beta (arXiv 2203.15556, equation 2), with the bootstrap draws of its fit."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    draws: tuple[tuple[float, ...], ...] = ()
    """(E, A, B, alpha, beta, r) of each bootstrap round, r being the log residual of a run drawn at random."""

    def __post_init__(self) -> None:
        for name in ("E", "A", "B", "alpha", "beta"):
            value = getattr(self, name)
            require(_is_number(value) and value > 0, self, name, value, "a positive number")
        whole = all(len(draw) == 6 and all(map(_is_number, draw)) for draw in self.draws)
        require(whole, self, "draws", f"{len(self.draws)} rows", "rows of six numbers: E, A, B, alpha, beta, log residual")

    def at(self, scale: float, tokens: float) -> float:
        """The expected loss of a training run of model scale S on D tokens."""
        return float(self.E + self.A / scale**self.alpha + self.B / tokens**self.beta)


@dataclass(frozen=True, kw_only=True, slots=True)
class Law(JsonFile):
    """How to spend a budget, by one publication or one fit."""

    NAME: ClassVar[str] = "law.json"
    STEP: ClassVar[str] = "the fit of a law, or the plan that predicts by one,"

    name: str
    """What it is called: a published law's name is how a config refers to it."""
    source: str
    """The publication, or the methods of the fit."""
    data: str
    """The corpus that it was fitted on: the better the data, the more of the budget goes to the model (paper, section 3.3)."""
    model: PowerLaw
    """Optimal model scale S; an exponent alone can be compared with others whatever its authors counted."""
    tokens: PowerLaw
    """Optimal number of tokens D."""
    scale: str = "non_embedding_flops_per_token"
    """What S counts, one of `SCALES`."""
    batch_tokens: PowerLaw | None = None
    """Optimal batch in tokens."""
    learning_rate: PowerLaw | None = None
    """Optimal maximum learning rate."""
    fitted: tuple[float, float] | None = None
    """Smallest and largest budget that it was fitted on, in FLOPs."""
    loss: LossLaw | None = None
    """Predicts losses; only of laws fitted by longrun. Those of a paper hold for its corpus and tokenizer alone."""
    figure: Figure = "loss"
    """The figure of a finished training run that `loss` predicts, one of `FIGURES`."""
    runs: tuple[tuple[float, ...], ...] = ()
    """(S, D, loss) of each run that it was fitted to; a training run that it predicted is added when it is fitted again."""

    def __post_init__(self) -> None:
        require(self.scale in SCALES, self, "scale", self.scale, ", ".join(SCALES))
        require(self.figure in FIGURES, self, "figure", self.figure, ", ".join(FIGURES))
        for name in ("model", "tokens"):
            exponent = getattr(self, name).exponent
            require(0 < exponent < 1, self, f"{name}.exponent", exponent, "a number between 0 and 1")
        total = self.model.exponent + self.tokens.exponent
        require(abs(total - 1) < 0.02, self, "tokens.exponent", self.tokens.exponent, f"1 - {self.model.exponent}: C = k·S·D")
        whole = all(len(run) == 3 and all(_is_number(value) and value > 0 for value in run) for run in self.runs)
        require(whole, self, "runs", f"{len(self.runs)} rows", "rows of three positive numbers: model scale, tokens, loss")
        ordered = self.fitted is None or (all(map(_is_number, self.fitted)) and 0 < self.fitted[0] <= self.fitted[1])
        require(ordered, self, "fitted", self.fitted, "two rising positive numbers of FLOPs, or None")


def allocation(loss: LossLaw, flops: float) -> tuple[PowerLaw, PowerLaw]:
    """Optimal S and D of a budget C = flops·S·D under `loss` (arXiv 2203.15556, equation 4).

    S = G·(C / flops)^a and D = (C / flops)^b / G, with a = beta / (alpha + beta), b = 1 - a and
    G = (alpha·A / (beta·B))^(1 / (alpha + beta)).
    """
    total = loss.alpha + loss.beta
    a = loss.beta / total
    g = (loss.alpha * loss.A / (loss.beta * loss.B)) ** (1 / total)
    model = PowerLaw(exponent=a, coefficient=g * flops**-a)
    return model, PowerLaw(exponent=1 - a, coefficient=flops ** (a - 1) / g)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
