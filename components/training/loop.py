"""The one training loop, for pretraining, fine-tuning and preference optimisation.

What differs between them is passed in: `Batches` say what a step sees, an `Objective` says what it minimises,
a `Validation` says what is measured on the way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from components.ports import TrainingReporter
from components.training.config import TrainingSettings

Batch = Mapping[str, Tensor]
"""Tensors by name, on the CPU when they leave `Batches`. "tokens" is int64 of shape [sequences, length] in every batch:
its size is what tokens/s counts."""


class Batches(Protocol):
    """What every step sees."""

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        """The micro-batches of `step` (from 0) for one rank, in order.

        A pure function: it neither reads nor keeps a position, so resuming is arithmetic. The union over the ranks
        is the same global batch for every `world_size`. The number of micro-batches may differ between steps and ranks,
        but each rank has at least one.
        """
        ...


@dataclass(frozen=True)
class Terms:
    """Sums over the loss terms (target tokens, pairs) of one micro-batch."""

    loss: Tensor
    """Scalar of fp32 that the gradient flows from: the sum of the loss over the terms, not their mean."""
    figures: Mapping[str, Tensor]
    """Detached scalars to report, sums over the same terms; the loop divides them like the loss."""


class Objective(Protocol):
    """What training minimises: the sum of `Terms.loss` over the global batch, divided by the sum of `weight`.

    Other models that it needs, such as the frozen reference of DPO, are its own fields; it moves them to the device of
    the batch and never lets gradients into them. It draws no random numbers, or resuming would not be exact.
    """

    def weight(self, batch: Batch) -> float:
        """How many loss terms the micro-batch holds: known before the forward pass, 0 allowed, positive over a global batch."""
        ...

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        """The loss of one micro-batch, which is on the model's device; `model` may be in bf16."""
        ...


class Validation(Protocol):
    """Measures the model on the way."""

    def __call__(self, model: nn.Module) -> Mapping[str, float]:
        """Figures by name, such as `validation/loss`; called on rank 0, in evaluation mode and without gradients."""
        ...


@dataclass(frozen=True)
class Trained:
    """What a training leaves behind, beside the weights in the model itself."""

    history: tuple[Mapping[str, float], ...]
    """One row per step, from 1: step, loss, learning_rate, gradient_norm (before clipping), tokens (cumulative, of all
    ranks), the objective's figures, and validation figures where they were measured. No wall-clock figures: equal for
    equal inputs. Steps before a resume are included. Empty on ranks other than 0."""
    resumed_from: int
    """The step of the checkpoint from which this call went on; 0 if it began afresh."""


def train(
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    settings: TrainingSettings,
    *,
    reporter: TrainingReporter,
    checkpoints: Path,
    identity: Mapping[str, Any],
    validation: Validation | None = None,
    flops_per_token: float | None = None,
) -> Trained:
    """Train `model` in place; afterwards its parameters are the fp32 weights, on the CPU, on every rank.

    Goes on from the newest whole checkpoint below `checkpoints`, bitwise as if never interrupted (at the same world size).
    Trainings can follow one another in one process. With several workers the process group exists already; with one, a group
    of one process is made and taken down.

    Args:
        model: fp32 weights, equal on all ranks.
        objective: the loss.
        batches: the data of each step.
        settings: steps, learning rate, precision, checkpoints.
        reporter: this worker's place, and the receiver of figures: those of `Trained.history`, and tokens_per_second and
            model_flops_utilisation (where the device's peak is known).
        checkpoints: an absolute directory that survives the process and that all ranks see; need not exist.
        identity: JSON that says what is trained (shape, config, digests of data); a checkpoint of another identity is refused.
        validation: measured every `settings.validation_steps` and after the last step.
        flops_per_token: FLOPs of forward and backward for one token, for the utilisation; None: not reported.

    Raises:
        CheckpointError: a checkpoint of another identity or world size.
        TrainingError: a loss or gradient that is not finite, or batches without a single term.
    """
    raise NotImplementedError
