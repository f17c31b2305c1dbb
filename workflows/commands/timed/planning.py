"""Implements `longrun plan --minutes` and `--hours`: the best training run for a given time, here or on accelerators."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.hardware import GPUS
from components.scaling.config import Accelerators, ScalingConfig
from components.scaling.laws.files import find_any_law, find_text_law
from components.scaling.laws.text_law import TextLaw
from components.scaling.planning.planner import Planner
from components.scaling.planning.proposal import Proposal, propose
from components.scaling.planning.rates import Rates
from components.scaling.planning.timed import MAX_EPOCHS, MORE_TIME, Limits, NominalSpeed, TimedPlan, timed
from infra.settings import Settings
from workflows.commands.timed.calibration import rates_of_this_machine
from workflows.commands.timed.compute_answer import ComputeAnswer
from workflows.commands.timed.stage_times import PastRun, StageTime, past_run, stage_times
from workflows.commands.timed.timed_answer import TimedAnswer

if TYPE_CHECKING:
    from components.training.config import Choices

OWN_LAW = Path(__file__).parents[2] / "sweeps" / "laws" / "python-environment.json"
"""File with the law of the text that `smoke` and `laptop` train on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeRequest:
    """The options of `longrun plan` that matter when a time is given."""

    recipe: str
    """Name or file of the recipe to plan for; empty for none."""
    minutes: float | None
    hours: float | None
    law: str
    """Name or file of the law; empty for the default law."""
    text_bytes: float | None
    calibrate: bool
    accelerators: Accelerators | None
    """Accelerators to train on; None for this machine."""
    choices: "Choices"
    vocab_size: int
    others: Mapping[str, bool]
    """Whether each of the options that cannot be combined with a time was given, by name."""

    def __post_init__(self) -> None:
        if self.minutes is not None and self.hours is not None:
            raise ConfigError("--minutes and --hours are both given; allowed: one of them")
        for name in ("minutes", "hours", "text_bytes"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"--{name.replace('_', '-')} is {value:g}; allowed: a number above 0")
        timed_by = "--minutes" if self.minutes is not None else "--hours"
        given = [name for name, is_given in self.others.items() if is_given]
        if self.seconds is not None and given:
            raise ConfigError(f"{timed_by} and {given[0]} are both given; allowed: a time, or {given[0]} without a time")
        here = {"RECIPE": bool(self.recipe), "--calibrate": self.calibrate}
        away = [name for name, is_given in here.items() if is_given and self.accelerators is not None]
        if away:
            raise ConfigError(f"{away[0]} is for a time on this machine; leave out {away[0]} or --gpus")
        timeless = here | {"--text-bytes": self.text_bytes is not None}
        if self.seconds is None and any(timeless.values()):
            name = next(name for name, is_given in timeless.items() if is_given)
            hint = f"; its curation is shown by: longrun curation-plan {self.recipe}" if self.recipe else ""
            raise ConfigError(f"{name} needs a time: add --minutes or --hours{hint}")

    @property
    def seconds(self) -> float | None:
        """The time of the training run in seconds; None if no time was given."""
        if self.minutes is not None:
            return 60 * self.minutes
        return None if self.hours is None else 3600 * self.hours


def plan_for_time(request: TimeRequest, settings: Settings, say: Callable[[str], None]) -> TimedAnswer | ComputeAnswer:
    """The best training run for a time, here or on accelerators. `say` is called with a line before slow work.

    Raises:
        ConfigError: the law or the recipe does not exist, or no training run fits into the time.
        HomeError, ResourceError: the machine cannot be measured.
        StoreError: the artifacts of earlier runs are in a bucket that cannot be reached.
    """
    return _plan_here(request, settings, say) if request.accelerators is None else _plan_on(request.accelerators, request)


def _plan_here(request: TimeRequest, settings: Settings, say: Callable[[str], None]) -> TimedAnswer:
    from workflows.recipe import load_recipe

    assert request.seconds is not None
    recipe = load_recipe(request.recipe, []) if request.recipe else None
    law = find_text_law(request.law or str(OWN_LAW))
    rates = rates_of_this_machine(settings, again=request.calibrate, say=say)
    past = past_run(settings, recipe.name) if recipe else None
    limits = Limits(
        seconds=request.seconds,
        text_bytes=request.text_bytes or (past.text_bytes if past else None),
        max_epochs=recipe.curation.corpus.max_epochs if recipe else MAX_EPOCHS,
        memory_bytes=_memory(),
        micro_batch_tokens=rates.micro_batch_tokens,
        precision=rates.machine["precision"],
    )
    plan = timed(law, rates, limits)
    return TimedAnswer(
        plan=plan,
        law=law,
        limits=limits,
        where=_described(rates),
        rates=rates,
        recipe=request.recipe or "smoke",
        stages=tuple(_stages(past, plan, rates)) if past else (),
    )


def _plan_on(accelerators: Accelerators, request: TimeRequest) -> TimedAnswer | ComputeAnswer:
    assert request.seconds is not None
    seconds, choices, law = request.seconds, request.choices, find_any_law(request.law or "deepseek")
    gpu = GPUS[accelerators.gpu]
    flops = accelerators.gpus * gpu.peak_flops * accelerators.mfu
    where = f"{accelerators.gpus} x {accelerators.gpu} at {accelerators.mfu:.0%} of their peak"
    if isinstance(law, TextLaw):
        limits = Limits(
            seconds=seconds,
            text_bytes=request.text_bytes,
            memory_bytes=accelerators.memory_bytes,
            micro_batch_tokens=choices.training.micro_batch_tokens,
            precision=choices.training.planned_precision,
        )
        plan = timed(law, NominalSpeed(flops_per_second=flops), limits)
        return TimedAnswer(plan=plan, law=law, limits=limits, where=where)

    def proposal(factor: float) -> Proposal:
        config = ScalingConfig(compute=factor * seconds * flops)
        return propose(Planner(config=config, choices=choices, vocab_size=request.vocab_size, law=law), accelerators)

    return ComputeAnswer(proposal=proposal(1.0), more=proposal(MORE_TIME), text_bytes=request.text_bytes)


def _stages(past: PastRun, plan: TimedPlan, rates: Rates) -> list[StageTime]:
    before = past.plan.shape if past.plan else None
    slower = None
    if before is not None:
        length, batch = plan.sequence_length, plan.batch_size
        seconds = [rates.step_seconds(shape, sequence_length=length, batch_size=batch) for shape in (plan.shape, before)]
        slower = seconds[0] / seconds[1]
    return stage_times(past, training=plan.seconds, same_model=before == plan.shape, slower=slower)


def _described(rates: Rates) -> str:
    machine = rates.machine
    return f"{machine['gpus'] or machine['processor']}, {machine['cores']} cores, in {machine['precision']}"


def _memory() -> float:
    """Bytes of memory that a training run may take here."""
    import psutil

    return float(psutil.virtual_memory().available)
