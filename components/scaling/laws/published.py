"""The published scaling laws, each with its source."""

from components.errors import ConfigError
from components.scaling.laws.law import Law, LossLaw, PowerLaw, allocation

_PAPER = "DeepSeek LLM, arXiv 2401.02954"

_PF_DAY = 8.64e19
"""FLOPs of a petaflop/s-day, the unit of arXiv 2001.08361."""

_KAPLAN = PowerLaw(exponent=0.73, coefficient=1.3e9 * _PF_DAY**-0.73)
"""N_e · C_min^p_N, table 6."""

_CHINCHILLA = PowerLaw(exponent=0.49, coefficient=0.1449)
"""The coefficient follows from table A3 (approach 2: 10 billion parameters at 1.32e22), whose rows but one it meets to 0.3 %."""

_REPLICATED = LossLaw(E=1.8172, A=482.01, B=2085.43, alpha=0.3478, beta=0.3658)
"""Table 1 of arXiv 2404.10102."""

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
            name="kaplan",
            source="Kaplan et al., arXiv 2001.08361, table 6, at a batch far below the critical one",
            data="WebText2",
            scale="non_embedding_parameters",
            model=_KAPLAN,
            tokens=PowerLaw(exponent=0.27, coefficient=1 / (6 * (_KAPLAN.coefficient or 1.0))),
            batch_tokens=PowerLaw(exponent=0.24, coefficient=2.0e6 * _PF_DAY**-0.24),
        ),
        Law(
            name="chinchilla",
            source="Hoffmann et al., arXiv 2203.15556, approach 2, tables 2 and A3",
            data="MassiveText",
            scale="parameters",
            model=_CHINCHILLA,
            tokens=PowerLaw(exponent=0.51, coefficient=1 / (6 * (_CHINCHILLA.coefficient or 1.0))),
            fitted=(6e18, 3e21),
        ),
        Law(
            name="chinchilla-replicated",
            source="Besiroglu et al., arXiv 2404.10102, table 1: approach 3 of arXiv 2203.15556, fitted again",
            data="MassiveText",
            scale="parameters",
            model=allocation(_REPLICATED, 6.0)[0],
            tokens=allocation(_REPLICATED, 6.0)[1],
            fitted=(6e18, 3e21),
        ),
    )
}
"""Every published law, by name."""


def can_plan(law: Law) -> bool:
    """Whether a plan can be made by the law: its model scale and tokens have coefficients."""
    return law.model.coefficient is not None and law.tokens.coefficient is not None


PLANNING = tuple(name for name, law in LAWS.items() if can_plan(law))
"""Names of the published laws that can plan."""


def law_values(law: Law, compute: float) -> dict[str, float]:
    """The optimum for a budget by a law that can plan: its model scale, "tokens", "batch_tokens" and "learning_rate".

    Where the law has no batch or learning rate, DeepSeek's is taken.

    Raises:
        ConfigError: only exponents of the law are known.
    """
    if not can_plan(law):
        raise ConfigError(
            f"of the law {law.name} only exponents were published ({law.source}); it serves comparison only. "
            f"Plan by one of: {', '.join(PLANNING)}, or by a law file"
        )
    usual = LAWS["deepseek"]
    powers = (law.model, law.tokens, law.batch_tokens or usual.batch_tokens, law.learning_rate or usual.learning_rate)
    names = (law.scale, "tokens", "batch_tokens", "learning_rate")
    return {name: power.at(compute) for name, power in zip(names, powers, strict=True) if power is not None}
