"""The training engine on top of DeepSpeed: ZeRO, AdamW, bf16 with fp32 accumulation.

ZeRO-1 (arXiv 1910.02054, section 5.1) shards the fp32 weights and the optimizer state among the workers. ZeRO-3 (section 5.3)
also shards the weights and gradients of the passes, and gathers the weights of a layer when it is computed.
"""

import contextlib
import copy
import gc
import io
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._C._distributed_c10d import HashStore

from components.errors import ConfigError, TrainingError
from components.files import JSON
from components.model.decoder import Decoder
from components.training.checkpoints.state import Fragment, SavedState, State
from components.training.config import OptimizerConfig, TrainingConfig
from components.training.deepspeed_library import deepspeed
from components.training.flat_gradients import FlatGradients
from components.training.objective import Batch, Objective, scaled
from components.training.parallel import activation_checkpointing
from components.training.parallel.pipeline import PhaseTimer, Pipeline
from components.training.parallel.placement import Coordinates, ModelParallelUnit, ModelShard, Weights
from components.training.parallel.streaming import streamed

_MOMENTS = {"first_moment": "exp_avg", "second_moment": "exp_avg_sq"}
"""Names of the moments in the state of torch's AdamW."""

BUCKET = 500_000_000
"""Elements per communication, DeepSpeed's default: 1 GB in bf16, large enough to use the full rate of a network."""

PREFETCHED = 50_000_000
"""Elements that ZeRO-3 gathers ahead of the current layer, DeepSpeed's default: a quarter of a layer of the 7B shape."""


@contextlib.contextmanager
def process_group(device: torch.device, world_size: int) -> Iterator[None]:
    """Ensure that a process group exists inside the block. For a single worker, creates one if needed and destroys it afterwards.

    Raises:
        TrainingError: the existing group has another size, or there is none and `world_size` is above 1.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)  # objects are sent through the current device
    if dist.is_initialized() or world_size > 1:
        size = dist.get_world_size() if dist.is_initialized() else 0
        if size != world_size:
            raise TrainingError(
                f"the process group has {size} workers, this training {world_size}: let the launcher create the group"
            )
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=HashStore(), rank=0, world_size=1)
    try:
        yield
    finally:
        _take_down()


def _take_down() -> None:
    """Destroy the process group through DeepSpeed, so that DeepSpeed keeps no reference to it for the next training."""
    comm = deepspeed().comm
    (comm if comm.is_initialized() else dist).destroy_process_group()


class _Pass(nn.Module):
    """The forward pass from a micro-batch to its loss as a single module, even if the objective calls the model several times.

    DeepSpeed prepares the gradient buffers at each call of its module, so there must be exactly one call per micro-batch.
    """

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self._objective = (objective,)  # in a tuple, so that the reference model of an objective is not registered as trainable

    def forward(self, batch: Batch, scale: float) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        terms = self._objective[0](self.model, batch)
        return scaled(terms.loss, scale), terms.loss.detach(), dict(terms.figures)


class Engine:
    """Trains one model on one worker: gradients, optimizer steps, state. One at a time in a process; call `close` when done."""

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        config: TrainingConfig,
        precision: str,
        coordinates: Coordinates,
        device: torch.device,
        weights: Weights | None = None,
    ) -> None:
        """Take over `model`, which has fp32 weights, or is on the meta device and gets its weights from `weights`.

        Must be called inside a process group.

        Raises:
            ConfigError: `compile` is set but there is no C++ compiler, or the layout does not fit the model.
        """
        if config.compile and not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
            raise ConfigError("training.compile is True, but no C++ compiler is on the PATH; install one or set it to False")

        # The worker's shard of the model, and a copy of its fp32 weights, which DeepSpeed rounds
        self._stage, self._device = config.layout.zero_stage, device
        self._skeleton = _skeleton(model) if self._stage == 3 or coordinates.layout.workers_per_replica > 1 else None
        self._shard = ModelShard.of(model, coordinates, weights)
        self._model = self._shard.model.to(device).train()
        activation_checkpointing.apply(self._model, config.activation_checkpointing, compiled=config.compile)
        self._adamw = _adamw(self._model, config.optimizer)
        originals = [parameter.detach().clone() for parameter in self._model.parameters()]

        # DeepSpeed's engine
        os.environ.setdefault("LOCAL_RANK", str(device.index or 0))  # DeepSpeed requires it
        library = deepspeed()
        library.utils.groups.mpu = None  # may be set by the previous training
        alone = dist.get_world_size() == 1 and self._stage == 1
        flat = alone and precision == "fp32"
        self._linear = nn.functional.linear
        with _quiet(), _frozen_heap():
            self.pipeline = _pipeline(self._model, objective, coordinates, device)
            """With several pipeline stages, `accumulate` replaces `forward` and `backward`; None with a single stage."""
            self._engine, *_ = library.initialize(
                model=self.pipeline.module if self.pipeline else _Pass(self._model, objective),
                optimizer=self._adamw,
                mpu=ModelParallelUnit(coordinates) if coordinates.layout.tensor > 1 and self.pipeline is None else None,
                config=_config(config.optimizer, precision, self._stage, flat=flat),
                dist_init_required=False,
            )

        # With a single worker there is nothing to sum, but DeepSpeed would still copy all gradients back and forth.
        self._engine.enable_backward_allreduce = not alone
        self._gradients = FlatGradients(self._engine.optimizer) if flat else None
        # DeepSpeed makes its fp32 weights from bf16 ones; restore the original values, which matter for a trained model.
        for parameter, original in zip(self._model.parameters(), originals, strict=True):
            self._set_weight(parameter, original)
        self._make_moments()

    @property
    def sizes(self) -> dict[str, int]:
        """Number of elements of each parameter of the whole model, by name."""
        return self._shard.sizes

    def forward(self, batch: Batch, scale: float, *, last: bool) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The loss times `scale`, for `backward`; the unscaled loss and figures, detached. `last`: it ends the accumulation."""
        self._engine.set_gradient_accumulation_boundary(last)
        scaled, loss, figures = self._engine(batch, scale)
        return scaled, loss, figures

    def backward(self, scaled: Tensor, *, skip_update: bool = False) -> None:
        """Run the backward pass and add the gradient, averaged over workers.

        With `skip_update`, for the last micro-batch, the next `step` does not change the weights. The gradient is then made NaN,
        because in every layout DeepSpeed skips the update on all workers if a gradient is not finite.
        """
        self._engine.backward(scaled * math.nan if skip_update else scaled)

    def accumulate(self, batches: Sequence[Batch], scale: float, phase: PhaseTimer) -> tuple[float, dict[str, float]]:
        """Run all passes of a step through the pipeline; see `components.training.parallel.pipeline.Pipeline.accumulate`."""
        assert self.pipeline is not None
        return self.pipeline.accumulate(self._engine, batches, scale, phase)

    def step(self, learning_rate: float) -> float | None:
        """Clip, update the weights, clear the gradients. Returns the norm before clipping; None: not finite, no update."""
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        if self._gradients is not None:
            self._gradients.hand_over()
        self._engine._exec_optimizer_step() if self.pipeline else self._engine.step()
        if self._gradients is not None:
            self._gradients.clear()
        if self._engine.optimizer.overflow:
            return None
        norm = float(self._engine.get_global_grad_norm())
        return norm if math.isfinite(norm) else None

    def state(self) -> State:
        """The state that this worker saves, as views: its fp32 weights, the moments of AdamW and the random states."""
        updates = int(self._adamw_states[0]["step"])
        fragments = tuple(fragment for fragment in self._fragments() if self._shard.saves(fragment.name))
        return State(fragments, updates, _random_states())

    def load(self, saved: SavedState, rank: int) -> None:
        """Load a state that was saved with any number of workers. All workers must call this together.

        Raises:
            CheckpointError: elements that this worker needs were not saved.
        """
        for fragment in self._fragments():
            for kind, tensor in fragment.tensors.items():
                tensor.copy_(saved.read(kind, fragment.name, fragment.start, tensor.numel(), fragment.columns))
        for state in self._adamw_states:
            state["step"].fill_(saved.updates)
        self._refresh_weights()
        _set_random_states(saved.random(rank))

    def weights(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """The whole weights by name, on the CPU of the first worker; empty on the others. All workers must call this together."""
        gathered = self._shard.gathered(deepspeed().utils.safe_get_full_fp32_param)
        return {name: weight.to(dtype) for name, weight in gathered}

    def measurable(self) -> nn.Module | None:
        """The whole model for forward passes, on the first worker; None on the others. All workers must call this together.

        If the model is sharded, its weights are in host memory, and those of a module are moved to the device while it computes.
        """
        if self._skeleton is None:
            return self._model if dist.get_rank() == 0 else None
        weights = self.weights(torch.bfloat16 if self._engine.bfloat16_enabled() else torch.float32)
        if not weights:
            return None
        whole = copy.deepcopy(self._skeleton)
        whole.load_state_dict(weights, assign=True)
        return streamed(whole, self._device)

    def close(self) -> None:
        """Remove hooks and gradients from the model; its parameters keep the engine's precision."""
        self._engine.destroy()
        nn.functional.linear = self._linear  # ZeRO-3 replaces it for the whole process
        self._model.zero_grad()
        activation_checkpointing.apply(self._model, "none")

    @property
    def _flat(self) -> list[Tensor]:
        """The flat fp32 tensors in which DeepSpeed keeps the parameters that this worker holds."""
        if self._stage == 3:
            flat: list[Tensor] = self._engine.optimizer.fp32_partitioned_groups_flat
            return flat
        return [flat for group in self._adamw.param_groups for flat in group["params"]]

    @property
    def _adamw_states(self) -> list[dict[str, Tensor]]:
        return [self._adamw.state[flat] for flat in self._flat]

    def _make_moments(self) -> None:
        """Create the state of AdamW, which it would create at its first update, so that it can be saved and loaded before that.

        ZeRO-3 has already created it, by an update that changed no weights but was counted.
        """
        for flat in self._flat:
            moments = {name: torch.zeros_like(flat) for name in _MOMENTS.values()}
            self._adamw.state[flat] = {"step": torch.zeros((), device=flat.device), **moments}
        if self._stage != 3:
            self._engine.optimizer._lazy_init_hp_params_optimizer_state()

    def _fragments(self) -> Iterator[Fragment]:
        """The fragments of the parameters that this worker holds."""
        held = self._held_by_zero_3 if self._stage == 3 else self._held_by_zero_1
        for name, parameter in self._shard.named_parameters():
            if (elements := held(parameter)) is not None:
                start, columns = self._shard.in_whole(name, elements[0])
                yield Fragment(name, start, elements[1], columns)

    def _held_by_zero_1(self, parameter: nn.Parameter) -> tuple[int, dict[str, Tensor]] | None:
        """Start and tensors of a parameter's elements on this worker, a range of the concatenation of all parameters."""
        kept = parameter._hp_mapping  # type: ignore[attr-defined]  # DeepSpeed's Universal Checkpoint reads it too
        if kept is None:
            return None
        moments = {kind: kept.optim_fragment[theirs] for kind, theirs in _MOMENTS.items()}
        return kept.lp_fragment_address.start, {"weight": kept.hp_fragment.detach(), **moments}

    def _held_by_zero_3(self, parameter: nn.Parameter) -> tuple[int, dict[str, Tensor]] | None:
        """Start and tensors of a parameter's elements on this worker, one of its equal shards. The last ones may be padded."""
        start, length = self._span(parameter)
        if length <= 0:
            return None
        local = deepspeed().utils
        tensors = {kind: local.safe_get_local_optimizer_state(parameter, theirs) for kind, theirs in _MOMENTS.items()}
        tensors["weight"] = local.safe_get_local_fp32_param(parameter).detach()
        return start, {kind: tensor[:length] for kind, tensor in tensors.items()}

    def _set_weight(self, parameter: nn.Parameter, whole: Tensor) -> None:
        if self._stage != 3:
            deepspeed().utils.safe_set_full_fp32_param(parameter, whole)
            return
        # With ZeRO-3, that function reads beyond the end of a parameter whose size is not divisible by the number of workers.
        start, length = self._span(parameter)
        own = whole.flatten()[start : start + max(length, 0)]
        filled = nn.functional.pad(own, (0, parameter.ds_tensor.numel() - own.numel()))  # type: ignore[attr-defined]
        deepspeed().utils.safe_set_local_fp32_param(parameter, filled)

    def _span(self, parameter: nn.Parameter) -> tuple[int, int]:
        shard = parameter.ds_tensor.numel()  # type: ignore[attr-defined]
        start = dist.get_rank() * shard
        return start, min(shard, parameter.ds_numel - start)  # type: ignore[attr-defined]

    def _refresh_weights(self) -> None:
        """Copy the fp32 weights into the weights that the forward pass uses."""
        if self._stage != 3:
            self._engine.optimizer.update_lp_params()
            return
        for parameter in self._model.parameters():
            if (elements := self._held_by_zero_3(parameter)) is not None:
                weight = elements[1]["weight"]
                parameter.ds_tensor.data[: weight.numel()].copy_(weight)  # type: ignore[attr-defined]


def _skeleton(model: nn.Module) -> nn.Module:
    """A copy of the model on the meta device, without weights."""
    empty = {id(weight): nn.Parameter(torch.empty_like(weight, device="meta")) for weight in model.parameters()}
    return copy.deepcopy(model, dict[int, Any](empty))


def _pipeline(model: nn.Module, objective: Objective, coordinates: Coordinates, device: torch.device) -> Pipeline | None:
    if coordinates.layout.pipeline == 1:
        return None
    assert isinstance(model, Decoder)
    stage, group = coordinates.ranks["pipeline"], coordinates.groups["pipeline"]
    return Pipeline(model, objective, coordinates.layout, stage, group, device)


def _random_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _set_random_states(states: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _quiet() -> contextlib.AbstractContextManager[io.StringIO]:
    """Suppress DeepSpeed 0.19.8's output about memory at start-up."""
    return contextlib.redirect_stdout(io.StringIO())


@contextlib.contextmanager
def _frozen_heap() -> Iterator[None]:
    """Exempt existing objects from garbage collection, which DeepSpeed 0.19.8 runs six times at start-up, taking 2 seconds."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _adamw(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW with weight decay for matrices and without for vectors; the fused kernel reads the weights only once."""
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=0.0,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )


def _config(optimizer: OptimizerConfig, precision: str, stage: int, *, flat: bool) -> dict[str, JSON]:
    """DeepSpeed's configuration. Micro-batch size and accumulation steps are 1, because the loop scales the loss and accumulates.

    Overlap of communication and computation: ZeRO-3 gathers the weights of the next layers and sums gradients on a separate
    stream while layers compute. ZeRO-1 sums gradients once per step, after the last backward pass: DeepSpeed 0.19.8's optimizer
    for bf16 weights and fp32 gradients (BF16_Optimizer) ignores `overlap_comm`. So the overlap described in the paper (section
    2.4) is not possible with fp32 accumulation. Its effect decreases with the number of micro-batches per step.

    With ZeRO-3, all parameters are sharded between uses, even small ones (persistence threshold 0). Flat gradients need no
    buckets (contiguous gradients).
    """
    zero: dict[str, JSON] = {
        "stage": stage,
        "contiguous_gradients": not flat,
        "overlap_comm": stage == 3,
        "reduce_scatter": True,  # each worker receives only its shard of the sum: half the traffic of an all-reduce
        "reduce_bucket_size": BUCKET,
        "allgather_bucket_size": BUCKET,
    }
    if stage == 3:
        zero |= {"stage3_param_persistence_threshold": 0, "stage3_prefetch_bucket_size": PREFETCHED}
    config: dict[str, JSON] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": optimizer.clip,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "pipeline": {"pipe_partitioned": False, "grad_partitioned": False},
    }
    if precision == "bf16":
        config |= {"bf16": {"enabled": True, "immediate_grad_update": stage == 1}, "data_types": {"grad_accum_dtype": "fp32"}}
    return config
