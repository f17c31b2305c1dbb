"""How fast a machine trains: seconds of a step as a sum of terms, each a cost of the machine times a count of the shape.

Pure arithmetic. The costs are not negative, fitted to measured steps by least squares of the relative error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from components.artifacts import JsonFile, ModelShape
from components.artifacts.step_times import StepSize, StepTime
from components.errors import FitRefused, require
from components.flops import activations_per_token, parameters, parameters_by_component

MAX_ITERATIONS = 20_000
"""Of the fit: coordinate descent over a handful of costs takes far fewer."""

TOLERANCE = 1e-9
"""Relative change of the largest term at which the fit ends."""


COSTS = ("body", "attention", "scores", "head", "logits", "activations", "parameters", "layers", "steps")
"""What a step's time is made of: see `counts`."""


def counts(size: StepSize) -> dict[str, float]:
    """What a step does, by the name of its cost.

    body, attention, head: FLOPs of forward and backward pass, as `components.flops.model_flops_per_token` adds them up;
    scores: weights of causal attention; logits: numbers that the loss passes over; activations:
    numbers that passes write and read; parameters: weights that are
    cleared, clipped and updated; layers: layers called; steps: one.
    """
    shape, tokens = size.shape, size.tokens
    weights = parameters_by_component(shape)
    return {
        "body": 6.0 * (weights["attention"] + weights["ffn"]) * tokens,
        "attention": 6.0 * shape.n_layer * shape.d_model * size.sequence_length * tokens,
        "scores": 0.5 * shape.n_layer * shape.n_head * size.sequence_length * tokens,
        "head": 6.0 * weights["head"] * tokens,
        "logits": float(shape.vocab_size * tokens),
        "activations": float(activations_per_token(shape) * tokens),
        "parameters": float(parameters(shape)),
        "layers": float(shape.n_layer * size.passes),
        "steps": 1.0,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates(JsonFile):
    """How fast one machine trains."""

    NAME: ClassVar[str] = "rates.json"
    STEP: ClassVar[str] = "longrun plan --minutes M --calibrate"

    machine: Mapping[str, str]
    """What they were measured on: processor, cores, torch and precision."""
    costs: Mapping[str, float]
    """Seconds of one of `counts`, by name."""
    load: float
    """Processes for each core that wanted to run in the minute before; above 0.5 or so they slow training down."""
    micro_batch_tokens: int
    """Tokens in a forward and backward pass."""
    measured: tuple[StepTime, ...]
    """The steps that the costs were fitted to."""
    held_out: tuple[StepTime, ...]
    """Steps that they were not fitted to."""

    def __post_init__(self) -> None:
        require(set(self.costs) == set(COSTS), self, "costs", sorted(self.costs), ", ".join(COSTS))
        sane = min(self.costs.values()) >= 0 < max(self.costs.values())
        require(sane, self, "costs", dict(self.costs), "numbers of at least 0, one of them above")
        require(self.micro_batch_tokens > 0, self, "micro_batch_tokens", self.micro_batch_tokens, "a positive integer")

    @classmethod
    def fit(
        cls,
        measured: Sequence[StepTime],
        *,
        held_out: Sequence[StepTime],
        machine: Mapping[str, str],
        load: float,
        micro_batch_tokens: int,
    ) -> "Rates":
        """The rates that explain `measured`, each step with the same weight. Raises `FitRefused` for fewer steps than costs."""
        rows = [counts(time.size) for time in measured]
        if len(rows) < len(COSTS):
            raise FitRefused(f"{len(rows)} measured steps are too few for {len(COSTS)} costs; measure at least as many")
        relative = [[row[name] / time.seconds for name in COSTS] for row, time in zip(rows, measured, strict=True)]
        return cls(
            machine=machine,
            costs=dict(zip(COSTS, non_negative(relative, [1.0] * len(rows)), strict=True)),
            load=load,
            micro_batch_tokens=micro_batch_tokens,
            measured=tuple(measured),
            held_out=tuple(held_out),
        )

    def step_seconds(self, shape: ModelShape, *, sequence_length: int, batch_size: int) -> float:
        """Seconds of an optimizer step of `batch_size` sequences."""
        size = self.size(shape, sequence_length=sequence_length, batch_size=batch_size)
        return self._seconds(size)

    def tokens_per_second(self, shape: ModelShape, *, sequence_length: int, batch_size: int) -> float:
        """Training tokens per second with `batch_size` sequences in a step."""
        return batch_size * sequence_length / self.step_seconds(shape, sequence_length=sequence_length, batch_size=batch_size)

    def size(self, shape: ModelShape, *, sequence_length: int, batch_size: int) -> StepSize:
        """The step of a shape and a batch, with micro-batches of this machine."""
        fitting = max(1, self.micro_batch_tokens // sequence_length)
        return StepSize(
            shape=shape,
            sequence_length=sequence_length,
            batch_size=batch_size,
            micro_batch_size=min(batch_size, fitting),
        )

    @property
    def error(self) -> float:
        """Largest relative difference of a predicted step from a measured one, among those it was not fitted to."""
        return max((abs(self._seconds(time.size) / time.seconds - 1) for time in self.held_out), default=0.0)

    @property
    def spread(self) -> float:
        """How much longer a step took in one measurement than in another, in the median of all steps; 0 on a quiet machine."""
        spreads = sorted(time.spread for time in (*self.measured, *self.held_out))
        return spreads[len(spreads) // 2] if spreads else 0.0

    def _seconds(self, size: StepSize) -> float:
        return sum(self.costs[name] * count for name, count in counts(size).items())


def non_negative(rows: Sequence[Sequence[float]], targets: Sequence[float]) -> list[float]:
    """The x ≥ 0 that minimise |rows · x - targets|², by coordinate descent.

    Each coordinate is set to its best value given the others, or to 0 where that is negative; the objective is convex, so that
    this converges to its minimum (Lawson and Hanson, Solving Least Squares Problems, chapter 23, state the problem).
    """
    columns = range(len(rows[0]))
    norms = [sum(row[i] ** 2 for row in rows) ** 0.5 or 1.0 for i in columns]
    scaled = [[row[i] / norms[i] for i in columns] for row in rows]
    gram = [[sum(row[i] * row[j] for row in scaled) for j in columns] for i in columns]
    projected = [sum(row[i] * target for row, target in zip(scaled, targets, strict=True)) for i in columns]
    x = [0.0 for _ in columns]
    for _ in range(MAX_ITERATIONS):
        moved = 0.0
        for i in columns:
            best = projected[i] - sum(gram[i][j] * x[j] for j in columns if j != i)
            best = max(0.0, best / gram[i][i]) if gram[i][i] else 0.0
            moved, x[i] = max(moved, abs(best - x[i])), best
        if moved <= TOLERANCE * max(x):
            break
    return [value / norm for value, norm in zip(x, norms, strict=True)]
