"""The training that ends best after a given time, as text and as JSON."""

import dataclasses
from dataclasses import dataclass

from components.artifacts import encoded
from components.files import JSON
from components.scaling.laws.text_law import TextLaw
from components.scaling.planning.rates import Rates
from components.scaling.planning.timed import Limits, TimedPlan
from components.tokenizer.config import TokenizerConfig
from workflows.commands.plan import line
from workflows.commands.timed.machine import load_per_core
from workflows.commands.timed.stage_times import StageTime

BUSY = 0.5
"""Load of each core above which the measured rates, or the training, may be off."""

LIMITS = {
    "time": "a tenth more brings {gain:.4f} bits per byte less",
    "text": "more of it instead of more epochs, or another vocabulary, would bring {gain:.4f} bits per byte less",
    "memory": "with more, {gain:.4f} bits per byte less",
    "range": "a model beyond what the law was fitted on might bring {gain:.4f} bits per byte less",
}
"""What a limit costs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedAnswer:
    """A timed plan, and what it was made by."""

    plan: TimedPlan
    law: TextLaw
    limits: Limits
    where: str
    """What trains."""
    rates: Rates | None = None
    """How fast this machine trains; None: the speed of accelerators was assumed."""
    recipe: str = "smoke"
    """What the printed command runs."""
    stages: tuple[StageTime, ...] = ()
    """The expected time of each stage of a recipe; empty: of none in particular."""

    def as_json(self) -> dict[str, JSON]:
        """All of it; of the rates, what they were measured on and how well they predict."""
        return {
            **encoded(self.plan),
            "law": self.law.name,
            "where": self.where,
            "rates": None if self.rates is None else _measured(self.rates),
            "text_bytes": self.limits.text_bytes,
            "max_epochs": self.limits.max_epochs,
            "stages": [encoded(stage) for stage in self.stages],
            "command": run_command(self.plan, self.recipe),
        }

    def lines(self) -> list[str]:
        """For a reader."""
        plan, shape = self.plan, self.plan.shape
        bits = plan.bits_per_byte
        epochs = "" if plan.epochs is None else f", {plan.epochs:.2f} epochs of {self.limits.text_bytes or 0:,.0f} bytes"
        return [
            line("law", f"{self.law.name}, of {self.law.data}"),
            line("time", f"{duration(plan.seconds)} of {duration(self.limits.seconds)} on {self.where}"),
            line("vocabulary", f"{shape.vocab_size}"),
            line("shape", f"{shape.n_layer} layers of width {shape.d_model}, FFN {shape.d_ffn}, {shape.n_head} heads"),
            line("tokens", f"{plan.tokens:,}, {plan.seen_bytes / 1e6:,.1f} MB of text{epochs}"),
            line("batch", f"{plan.batch_size} sequences of {plan.sequence_length}"),
            line("steps", f"{plan.steps:,}, {plan.warmup_steps} of them warm-up"),
            line("learning rate", f"{plan.learning_rate:.3g}"),
            line("speed", f"{plan.tokens_per_second:,.0f} tokens/s{self._error()}"),
            line("memory", f"{plan.memory_bytes / 1e6:,.0f} MB"),
            line("bits per byte", f"{bits.loss:.3f}, 95 % of such training runs between {bits.low:.3f} and {bits.high:.3f}"),
            *(line(f"limited by {name}", LIMITS[name].format(gain=gain)) for name, gain in plan.limits.items()),
            *self._stage_lines(),
            *(f"note: {note}" for note in (*plan.notes, *self._machine_notes())),
            f"run it: {run_command(plan, self.recipe)}",
        ]

    def _error(self) -> str:
        if self.rates is None:
            return ""
        count = len(self.rates.held_out)
        return f"; {count} models that were measured for comparison differ by at most {self.rates.error:.0%}"

    def _stage_lines(self) -> list[str]:
        if not self.stages:
            return []
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        unknown = [stage.stage for stage in self.stages if stage.seconds is None]
        total = duration(sum(known)) + (f" without {', '.join(unknown)}" if unknown else "")
        shown = [("unknown" if each.seconds is None else duration(each.seconds), each) for each in self.stages]
        return [
            line(f"the whole of {self.recipe}", total),
            *(line(f"  {each.stage}", f"{time:<12}{each.reason}") for time, each in shown),
        ]

    def _machine_notes(self) -> list[str]:
        if self.rates is None:
            return []
        notes, load = [], load_per_core()
        if self.rates.spread > 0.1 or self.rates.load > BUSY:
            notes.append(
                f"this machine did something else while it was measured (load per core {self.rates.load:.1f}, the same steps "
                f"differed by {self.rates.spread:.0%}): measure again with --calibrate when it is idle"
            )
        if load > BUSY:
            notes.append(f"this machine is busy now (load per core {load:.1f}): a training run would take longer than planned")
        return notes


def run_command(plan: TimedPlan, recipe: str) -> str:
    """The command that runs a recipe with a plan: paste it into a shell."""
    shape = plan.shape
    values = {
        "tokenizer.regular_tokens": shape.vocab_size - TokenizerConfig().special_tokens,
        "tokenizer.vocab_multiple": 64 if shape.vocab_size % 64 == 0 else 1,
        **{f"pretraining.shape.{name}": value for name, value in dataclasses.asdict(shape).items() if isinstance(value, int)},
        "pretraining.tokens": plan.tokens,
        "pretraining.batch_size": plan.batch_size,
        "pretraining.sequence_length": plan.sequence_length,
        "pretraining.learning_rate": float(f"{plan.learning_rate:.3g}"),
        "pretraining.warmup_steps": plan.warmup_steps,
    }
    return " ".join(["longrun run", recipe, *(f"--set {name}={value}" for name, value in values.items())])


def duration(seconds: float) -> str:
    """Seconds as a reader says them: 42 s, 7.5 min, 3.2 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _measured(rates: Rates) -> dict[str, JSON]:
    """What the rates were measured on, and how well they predict."""
    figures = {"error": rates.error, "spread": rates.spread, "load": rates.load}
    return {"machine": dict(rates.machine), "costs": dict(rates.costs), **figures}
