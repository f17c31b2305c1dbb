"""The law of a text in two vocabularies from training runs that take a second each: for tests, and for trying out a change."""

from dataclasses import replace

from components.scaling.sweeps.ladder import Rung
from workflows.sweeps.sweep import Sweep
from workflows.sweeps.tiny_ladder import tiny_ladder


def tiny_text() -> Sweep:
    """Three budgets of three models each in both vocabularies on the text of `tiny`: its law is worth nothing, but it is one."""
    base = tiny_ladder()
    assert base.ladder is not None
    budgets = {3e9: (12, 16, 24), 6e9: (12, 16, 24), 1.2e10: (16, 24, 32)}
    rungs = tuple(Rung(compute=compute, widths=widths) for compute, widths in budgets.items())
    return replace(
        base,
        name="tiny-text",
        description="two vocabularies, training runs that take a second each, for tests: a law that is worth nothing",
        vocabularies=(320, 512),
        ladder=replace(base.ladder, rungs=rungs),
        fit=replace(base.fit, rounds=100),
    )
