"""A plan laid out on accelerators: the shape that divides and fits, hours, cost and energy; and the paper's own models."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from components.artifacts import ModelShape, Plan
from components.errors import ConfigError
from components.files import JSON
from components.flops import ACTIVATION_CHECKPOINTING
from components.hardware import GPUS
from components.scaling.config import Accelerators
from components.scaling.laws.law import Law
from components.scaling.planning.layouts import layouts, planned_memory
from components.scaling.planning.planner import Planner
from components.training.config import Choices, TrainingConfig
from components.training.parallel.layout import ParallelLayout

PAPER_MODELS = {
    "7b": Choices(
        shape=ModelShape(n_layer=30, d_model=4096, n_head=32, n_kv_head=32, d_ffn=11008, vocab_size=102_400, context=4096),
        tokens=2_000_000_000_000,
        batch_size=2304,
        learning_rate=4.2e-4,
    ),
    "67b": Choices(
        shape=ModelShape(n_layer=95, d_model=8192, n_head=64, n_kv_head=8, d_ffn=22016, vocab_size=102_400, context=4096),
        tokens=2_000_000_000_000,
        batch_size=4608,
        learning_rate=3.2e-4,
    ),
}
"""What the paper used (table 2)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A plan, the law that it was made by, and what it takes on accelerators."""

    plan: Plan
    law: Law
    accelerators: Accelerators | None = None
    layout: ParallelLayout | None = None
    """The one that divides the model least among those that fit."""
    layouts: tuple[tuple[ParallelLayout, int], ...] = ()
    """Every layout that the shape and the batch divide by and that fits, with the bytes of its fullest rank."""
    activation_checkpointing: str = "none"
    """The policy that recomputes least among those with which a layout fits."""

    @property
    def gpu_hours(self) -> float | None:
        """Hours of one accelerator: C over what it computes at the expected utilisation; None without accelerators."""
        if self.accelerators is None:
            return None
        return self.plan.compute / (GPUS[self.accelerators.gpu].peak_flops * self.accelerators.mfu) / 3600

    @property
    def hours(self) -> float | None:
        """Hours of all accelerators together."""
        return None if self.accelerators is None or self.gpu_hours is None else self.gpu_hours / self.accelerators.gpus

    @property
    def cost(self) -> float | None:
        """In the currency of the price of an hour; None without a price."""
        price = self.accelerators.price if self.accelerators else None
        return None if price is None or self.gpu_hours is None else self.gpu_hours * price

    @property
    def energy_kwh(self) -> float | None:
        """Of the accelerators alone, at their full power."""
        if self.accelerators is None or self.gpu_hours is None:
            return None
        return self.gpu_hours * GPUS[self.accelerators.gpu].watts / 1000

    def as_json(self) -> dict[str, JSON]:
        """The plan's fields, the law's name and source, and under "cluster" what it takes on accelerators."""
        return {
            **dataclasses.asdict(self.plan),
            "law_name": self.law.name,
            "law_source": self.law.source,
            "cluster": self._cluster_as_json(),
        }

    def _cluster_as_json(self) -> dict[str, JSON] | None:
        if self.accelerators is None or self.layout is None:
            return None
        return {
            **dataclasses.asdict(self.accelerators),
            "layout": dataclasses.asdict(self.layout),
            "activation_checkpointing": self.activation_checkpointing,
            "layouts": [{**dataclasses.asdict(layout), "memory_bytes": memory} for layout, memory in self.layouts],
            "hours": self.hours,
            "gpu_hours": self.gpu_hours,
            "cost": self.cost,
            "energy_kwh": self.energy_kwh,
        }


def propose(planner: Planner, accelerators: Accelerators | None = None) -> Proposal:
    """The plan; on accelerators, of the nearest shape that divides by a layout that fits their memory.

    Layouts are tried in the order of how little they divide the model, so that the shape is the law's wherever it fits. Those in
    which layers recompute activations are tried only where none fits without.

    Raises:
        ConfigError: a budget or choice that makes no sense, a law that cannot plan, or a model that no layout holds.
    """
    if accelerators is None:
        return Proposal(plan=planner.plan(), law=planner.law)
    gpu, smallest = GPUS[accelerators.gpu], float("inf")
    for candidate in _with_more_checkpointing(planner):
        for layout in layouts(accelerators.gpus, gpu.per_node):
            plan = _laid_out(candidate, layout)
            if plan is None:
                continue
            if plan.memory_bytes <= accelerators.memory_bytes:
                return Proposal(
                    plan=plan,
                    law=planner.law,
                    accelerators=accelerators,
                    layout=layout,
                    layouts=_fitting(plan, candidate.choices.training, accelerators),
                    activation_checkpointing=candidate.choices.training.activation_checkpointing,
                )
            smallest = min(smallest, plan.memory_bytes)
    reason = "none divides shape and batch" if smallest == float("inf") else f"the least needs {smallest / 1e9:.0f} GB a rank"
    raise ConfigError(
        f"no layout of {accelerators.gpus} x {accelerators.gpu} with {gpu.memory_bytes / 1e9:.0f} GB holds the plan: {reason}; "
        "allowed: another number of GPUs or another GPU, a smaller budget, or more tokens"
    )


def _with_more_checkpointing(planner: Planner) -> Iterator[Planner]:
    """The planner, and the same with each policy of activation checkpointing that saves more memory."""
    training = planner.choices.training
    for policy in ACTIVATION_CHECKPOINTING[ACTIVATION_CHECKPOINTING.index(training.activation_checkpointing) :]:
        more = dataclasses.replace(training, activation_checkpointing=policy)
        yield dataclasses.replace(planner, choices=dataclasses.replace(planner.choices, training=more))


def _laid_out(planner: Planner, layout: ParallelLayout) -> Plan | None:
    """The plan of the nearest shape that divides by `layout`; None where the chosen shape, vocabulary or batch does not."""
    choices = planner.choices
    if planner.vocab_size % layout.tensor or (choices.shape is not None and layout.misfit(choices.shape)):
        return None
    plan = planner.plan(layout)
    divides = plan.batch_size % layout.replicas == 0 and not layout.misfit(plan.shape, plan.sequence_length)
    # A batch stretched to give every replica a sequence is no longer the law's.
    stretched = choices.batch_size is None and plan.batch_size * plan.sequence_length > 1.5 * plan.law["batch_tokens"]
    return plan if divides and not stretched else None


def _fitting(plan: Plan, training: TrainingConfig, accelerators: Accelerators) -> tuple[tuple[ParallelLayout, int], ...]:
    """The layouts that shape and batch divide by and that fit, with the bytes of the fullest rank."""
    fitting = []
    for layout in layouts(accelerators.gpus, GPUS[accelerators.gpu].per_node):
        if layout.misfit(plan.shape, plan.sequence_length) or plan.batch_size % layout.replicas:
            continue
        memory = planned_memory(training, layout, plan.shape, plan.batch_size, plan.sequence_length)
        if memory <= accelerators.memory_bytes:
            fitting.append((layout, memory))
    return tuple(fitting)
