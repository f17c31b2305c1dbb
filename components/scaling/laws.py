"""Published scaling laws as values. Where a paper gives only exponents, a law serves comparison and cannot plan.

C is the compute budget in FLOPs, M non-embedding FLOPs per token, D training tokens; C = M·D.
"""

from dataclasses import dataclass

from components.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerLaw:
    """coefficient · C^exponent."""

    exponent: float
    coefficient: float | None = None
    """None: not published."""

    def at(self, compute: float) -> float:
        """The law's value at `compute` FLOPs. Raises `ConfigError` where only the exponent is known."""
        if self.coefficient is None:
            raise ConfigError(f"a law with the exponent {self.exponent} only gives no value; choose one with a coefficient")
        return float(self.coefficient * compute**self.exponent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Law:
    """How to spend a budget, by one publication and its data."""

    name: str
    source: str
    data: str
    """The corpus it was fitted on: the better the data, the more of the budget goes to the model (paper, section 3.3)."""
    model: PowerLaw
    """Optimal M (FLOPs per token); of laws in parameters, only the exponent is comparable."""
    tokens: PowerLaw
    """Optimal D."""
    batch_tokens: PowerLaw | None = None
    """Optimal batch in tokens."""
    learning_rate: PowerLaw | None = None
    """Optimal maximum learning rate."""
    fitted: tuple[float, float] | None = None
    """Least and largest budget that it was fitted on, in FLOPs."""


_PAPER = "DeepSeek LLM, arXiv 2401.02954"

LAWS = {
    law.name: law
    for law in (
        Law(
            name="deepseek",
            source=f"{_PAPER}, sections 3.1 and 3.2",
            data="DeepSeek's current data",
            model=PowerLaw(coefficient=0.1715, exponent=0.5243),
            tokens=PowerLaw(coefficient=5.8316, exponent=0.4757),
            batch_tokens=PowerLaw(coefficient=0.2920, exponent=0.3271),
            learning_rate=PowerLaw(coefficient=0.3118, exponent=-0.1250),
            fitted=(1e17, 3e20),
        ),
        Law(
            name="deepseek-early",
            source=f"{_PAPER}, table 4",
            data="DeepSeek's early data",
            model=PowerLaw(exponent=0.450),
            tokens=PowerLaw(exponent=0.550),
        ),
        Law(
            name="deepseek-openwebtext2",
            source=f"{_PAPER}, table 4",
            data="OpenWebText2",
            model=PowerLaw(exponent=0.578),
            tokens=PowerLaw(exponent=0.422),
        ),
        Law(
            name="openai",
            source="Kaplan et al., arXiv 2001.08361, as in table 4 of arXiv 2401.02954",
            data="OpenWebText2",
            model=PowerLaw(exponent=0.73),
            tokens=PowerLaw(exponent=0.27),
        ),
        Law(
            name="chinchilla",
            source="Hoffmann et al., arXiv 2203.15556, as in table 4 of arXiv 2401.02954",
            data="MassiveText",
            model=PowerLaw(exponent=0.49),
            tokens=PowerLaw(exponent=0.51),
        ),
    )
}
"""Every published law, by name."""


def can_plan(law: Law) -> bool:
    """Whether a plan can be made by it: it has coefficients, a batch size and a learning rate."""
    powers = (law.model, law.tokens, law.batch_tokens, law.learning_rate)
    return all(power is not None and power.coefficient is not None for power in powers)


PLANNING = tuple(name for name, law in LAWS.items() if can_plan(law))
"""Names of the laws that can plan."""
