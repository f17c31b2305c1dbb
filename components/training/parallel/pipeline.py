"""Pipeline parallelism with DeepSpeed's PipelineModule: stages of consecutive layers, run with the 1F1B schedule.

1F1B (one forward, one backward; PipeDream-Flush) is described in arXiv 2104.04473, section 2.2. Only the last stage calls the
objective, with the output of its layers.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from components.model.decoder import Decoder
from components.model.loss import Vocabulary
from components.training.deepspeed_library import deepspeed
from components.training.objective import Batch, Objective, scaled
from components.training.parallel.layout import ParallelLayout

PhaseTimer = Callable[[str], AbstractContextManager[None]]
"""Type of `components.training.meters.Stopwatch.phase`."""

PHASES = {
    "LoadMicroBatch": "data",
    "RecvActivation": "forward",
    "ForwardPass": "forward",
    "SendActivation": "forward",
    "RecvGrad": "backward",
    "BackwardPass": "backward",
    "SendGrad": "backward",
    "ReduceTiedGrads": "backward",
    "ReduceGrads": "backward",
}
"""The phase of a step to which each of DeepSpeed's instructions belongs. OptimizerStep is not run here but by the engine."""


class Pipeline:
    """Runs one worker's stage of the pipeline."""

    def __init__(
        self,
        stage: Decoder,
        objective: Objective,
        layout: ParallelLayout,
        stage_rank: int,
        group: dist.ProcessGroup,
        device: torch.device,
    ) -> None:
        """All workers must call this together.

        Args:
            stage: a decoder with this worker's layers; its embedding, or its norm and head, are the identity in other stages.
            objective: the loss, called by the last stage.
            layout: layout of the training, with `data` set.
            stage_rank: number of this stage, from 0.
            group: process group of the stages of a replica, in order.
            device: the training device.
        """
        library = deepspeed()
        from deepspeed.runtime.pipe.topology import PipeModelDataParallelTopology

        self._objective, self._layout, self._stage_rank, self._group, self._device = objective, layout, stage_rank, group, device
        self._tail = _Tail(stage)
        self._scale, self._sums = 1.0, dict[str, Tensor]()
        self._names: list[str] | None = None
        stages: list[nn.Module] = [nn.Identity() for _ in range(layout.pipeline)]
        self._stage = _Stage(stage)
        stages[stage_rank] = self._stage
        # PipelineModule asks DeepSpeed for the rank before an engine has connected DeepSpeed to torch's process group
        library.init_distributed(auto_mpi_discovery=False, verbose=False)
        self.module: nn.Module = library.PipelineModule(
            stages,
            topology=PipeModelDataParallelTopology(
                num_pp=layout.pipeline, num_mp=layout.tensor, num_dp=layout.replicas * layout.sequence
            ),
            loss_fn=self._loss,
            partition_method="uniform",
            dynamic_shape=True,  # the last micro-batch of a step may be smaller
        )
        """The module for DeepSpeed's engine."""

    def accumulate(
        self, engine: Any, batches: Sequence[Batch], scale: float, phase: PhaseTimer
    ) -> tuple[float, dict[str, float]]:
        """Accumulate the gradients of this worker's micro-batches, averaged over the replicas.

        Returns the sums of the loss and of the figures; 0 on all stages but the last.

        Args:
            engine: DeepSpeed's engine for `module`.
            batches: micro-batches of this replica, the same for each of its stages.
            scale: factor of the loss.
            phase: measures the time of the phases of a step.
        """
        from deepspeed.runtime.pipe.schedule import TrainSchedule

        self._scale, self._sums = scale, {}
        self._stage.documents = iter([self._documents(batch) for batch in batches])
        engine.set_dataiterator(iter([(batch["tokens"], batch) for batch in batches]))
        engine.total_loss, engine.fwd_outputs, engine._compute_loss = None, [], True
        schedule = TrainSchedule(micro_batches=len(batches), stages=self._layout.pipeline, stage_id=self._stage_rank)
        engine._reserve_pipe_buffers(schedule.num_pipe_buffers())
        for instructions in schedule:
            for instruction in instructions:
                if (name := type(instruction).__name__) in PHASES:
                    with phase(PHASES[name]):
                        engine._INSTRUCTION_MAP[type(instruction)](engine, **instruction.kwargs)
        return self._totals()

    def _documents(self, batch: Batch) -> Tensor | None:
        return batch["documents"].to(self._device, non_blocking=True) if "documents" in batch else None

    def _loss(self, hidden_BTD: Tensor, batch: Batch) -> Tensor:
        """The scaled loss of a micro-batch, on the last stage."""
        self._tail.hidden_BTD = hidden_BTD
        moved = {name: tensor.to(self._device, non_blocking=True) for name, tensor in batch.items()}
        terms = self._objective(self._tail, moved)
        for name, value in {"": terms.loss.detach(), **terms.figures}.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        return scaled(terms.loss, self._scale)

    def _totals(self) -> tuple[float, dict[str, float]]:
        if self._names is None:
            box = [sorted(self._sums)]
            dist.broadcast_object_list(box, src=dist.get_global_rank(self._group, self._layout.pipeline - 1), group=self._group)
            self._names = box[0]
        totals = {name: float(self._sums.get(name, 0.0)) for name in self._names}
        return totals.pop(""), totals


class _Stage(nn.Module):
    """A stage as a module: activations to activations; tokens in the first stage, the input of the head in the last."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.documents = iter(list[Tensor | None]())
        """Document ids of the next micro-batches, in order; each stage takes them from its own copy of the batches."""

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder.hidden(x, documents_BS=next(self.documents))


class _Tail(nn.Module):
    """Presents the last stage to an objective as if it were the whole decoder."""

    def __init__(self, stage: Decoder) -> None:
        super().__init__()
        self.head: nn.Module = stage.head
        self.hidden_BTD = torch.empty(0)
        self._stage = (stage,)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The range of token ids that the logits cover; None: all."""
        return self._stage[0].vocabulary

    def forward(self, tokens_BT: Tensor, *, documents_BS: Tensor | None = None, with_head: bool = True) -> Tensor:
        """The logits, or the head's input. `tokens_BT` and `documents_BS` are not used: the stages have processed them."""
        return self.head(self.hidden_BTD) if with_head else self.hidden_BTD
