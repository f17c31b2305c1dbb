"""A training laid out on its workers: each one's coordinates, its shard of the model, and the whole gathered again.

A model is sharded into a copy; the one that was given has no weights meanwhile.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn

from components.errors import ConfigError
from components.model.decoder import Decoder
from components.training.checkpoints.state import Columns
from components.training.objective import Batch, Batches
from components.training.parallel import sequence, tensor
from components.training.parallel.layout import ParallelLayout

Weights = Callable[[str, torch.Size], Tensor]
"""Makes a whole weight, in fp32 on the CPU, from its name in the model and its size."""


@dataclass(frozen=True)
class Coordinates:
    """A worker's ranks along the axes of a layout, and the process groups that it communicates in."""

    layout: ParallelLayout
    ranks: Mapping[str, int]
    """By axis."""
    groups: Mapping[str, dist.ProcessGroup]
    """By axis, where there is more than one worker along it; "replicas": the workers that hold the same weights."""

    @classmethod
    def of(cls, layout: ParallelLayout, rank: int, workers: int) -> "Coordinates":
        """Those of a worker; all workers together, inside a process group.

        Raises:
            ConfigError: the workers do not make whole replicas.
        """
        layout = layout.over(workers)
        groups = {}
        if layout.workers_per_replica > 1:
            axes = {name: (name,) for name in ("tensor", "sequence", "pipeline") if getattr(layout, name) > 1}
            for name, along in {**axes, "replicas": ("data", "sequence")}.items():
                groups[name], _ = dist.new_subgroups_by_enumeration(layout.groups(*along))
        return cls(layout, layout.coordinates(rank), groups)

    @property
    def averaged(self) -> int:
        """Workers that hold the same weights and see other tokens, over whose gradients DeepSpeed takes the mean."""
        return self.layout.replicas * self.layout.sequence

    @property
    def is_counted(self) -> bool:
        """Whether this worker counts the loss of its tokens: one does for each replica and shard of a sequence."""
        return self.ranks["tensor"] == 0 and self.ranks["pipeline"] == self.layout.pipeline - 1

    def micro_batches(self, batches: Batches, step: int) -> Sequence[Batch]:
        """What this worker sees of a step: its replica's share of the batch, and of that its shard of each sequence."""
        micro_batches = batches.micro_batches(step, self.ranks["data"], self.layout.replicas)
        if self.layout.sequence == 1:
            return micro_batches
        return [sequence.shard(batch, self.ranks["sequence"], self.layout.sequence) for batch in micro_batches]

    def close(self) -> None:
        """Destroy the process groups."""
        for group in self.groups.values():
            dist.destroy_process_group(group)


@dataclass(frozen=True)
class ModelShard:
    """A worker's share of the weights of a model."""

    model: nn.Module
    """On the CPU, with the shard's parameters; the model itself where a worker holds all of it."""
    coordinates: Coordinates
    shapes: Mapping[str, torch.Size]
    """Of the whole parameters, in the model's order."""

    @classmethod
    def of(cls, model: nn.Module, coordinates: Coordinates, weights: Weights | None = None) -> "ModelShard":
        """The shard of a worker.

        Args:
            model: whole; its weights are moved out of it.
            coordinates: of the worker.
            weights: makes the weights, where the model is on the meta device because no worker ever holds all of it.

        Raises:
            ConfigError: a layout that shards another model than a `Decoder`, or does not divide its shape.
        """
        shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        if coordinates.layout.workers_per_replica == 1:
            if weights is not None:
                set_weights(model, {name: weights(name, size) for name, size in shapes.items()})
            return cls(model, coordinates, shapes)
        if not isinstance(model, Decoder):
            raise ConfigError(f"a layout of {type(model).__name__}; allowed: of a Decoder, or of data alone")
        coordinates.layout.require_fit(model.shape)
        with torch.device("meta"):
            shard = cls(Decoder(model.shape), coordinates, shapes)
        shard._fill(weights or partial(_moved_out, dict(model.named_parameters())))
        return shard

    @property
    def sizes(self) -> dict[str, int]:
        """Elements of each whole parameter."""
        return {name: shape.numel() for name, shape in self.shapes.items()}

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The shard's parameters, under their names in the whole model."""
        for name, parameter in self.model.named_parameters():
            yield self._name_in_whole(name), parameter

    def saves(self, name: str) -> bool:
        """Whether this worker saves that parameter: one that all tensor shards have whole is saved by the first."""
        return self.coordinates.ranks["tensor"] == 0 or tensor.sharded_dimension(name) is not None

    def in_whole(self, name: str, start: int) -> tuple[int, Columns | None]:
        """Where element `start` of a flattened parameter of the shard is in the whole one, or in which columns of it."""
        dimension, rank, shards = self._sharding(name)
        if dimension == 0:
            return start + rank * self.shapes[name].numel() // shards, None
        if dimension == 1:
            width = self.shapes[name][1] // shards
            return start, Columns(rank * width, (rank + 1) * width, self.shapes[name][1])
        return start, None

    def gathered(self, weight_of: Callable[[nn.Parameter], Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Whole parameters by name, on the CPU of the first worker; nothing on the others. All workers together, to the end.

        One at a time, so that no device holds the model whole.

        Args:
            weight_of: this worker's shard of a parameter, in fp32, on the training device.
        """
        own = dict(self.named_parameters())
        device = next(iter(own.values())).device
        for name in self.shapes:
            mine = self._joined(name, weight_of(own[name])) if name in own else None
            whole = self._from_stage(name, mine, device)
            if dist.get_rank() == 0:
                yield name, whole.cpu()

    def _fill(self, weights: Weights) -> None:
        """Take this shard's share of each weight; of those that `weights` makes, one is whole at a time."""
        decoder, groups = self.model, self.coordinates.groups
        assert isinstance(decoder, Decoder)
        self._keep_stage(decoder)
        for name, _ in list(decoder.named_parameters()):
            dimension, rank, shards = self._sharding(name)
            whole = self._name_in_whole(name)
            value = weights(whole, self.shapes[whole])
            value = value if dimension is None else value.chunk(shards, dimension)[rank]
            set_weights(decoder, {name: value.clone(memory_format=torch.contiguous_format)})
        if "tensor" in groups:
            tensor.apply(decoder, groups["tensor"])
        if "sequence" in groups:
            sequence.apply(decoder, groups["sequence"])

    def _keep_stage(self, decoder: Decoder) -> None:
        """Drop the layers of other stages."""
        stages, stage, per_stage = self.coordinates.layout.pipeline, self.coordinates.ranks["pipeline"], self._layers_per_stage
        decoder.layers = decoder.layers[stage * per_stage : (stage + 1) * per_stage]
        if stage > 0:
            decoder.embedding = nn.Identity()  # type: ignore[assignment]
        if stage < stages - 1:
            decoder.norm, decoder.head = nn.Identity(), nn.Identity()  # type: ignore[assignment]

    def _name_in_whole(self, name: str) -> str:
        if self.coordinates.layout.pipeline == 1 or not name.startswith("layers."):
            return name
        _, number, rest = name.split(".", 2)
        return f"layers.{int(number) + self.coordinates.ranks['pipeline'] * self._layers_per_stage}.{rest}"

    @property
    def _layers_per_stage(self) -> int:
        assert isinstance(self.model, Decoder)
        return self.model.shape.n_layer // self.coordinates.layout.pipeline

    def _stage_of(self, name: str) -> int:
        if name.startswith("layers."):
            return int(name.split(".")[1]) // self._layers_per_stage
        return 0 if name.startswith("embedding.") else self.coordinates.layout.pipeline - 1

    def _sharding(self, name: str) -> tuple[int | None, int, int]:
        """The dimension along which a parameter is sharded (None: it is whole), this shard's rank, and their number."""
        dimension = tensor.sharded_dimension(name) if self.coordinates.layout.tensor > 1 else None
        return dimension, self.coordinates.ranks["tensor"], self.coordinates.layout.tensor

    def _joined(self, name: str, shard: Tensor) -> Tensor:
        """A whole parameter from the shards of the tensor axis."""
        dimension, _, shards = self._sharding(name)
        if dimension is None:
            return shard
        gathered = [torch.empty_like(shard) for _ in range(shards)]
        dist.all_gather(gathered, shard.contiguous(), group=self.coordinates.groups["tensor"])
        return torch.cat(gathered, dimension)

    def _from_stage(self, name: str, mine: Tensor | None, device: torch.device) -> Tensor:
        """A whole parameter from the stage of the pipeline that holds it; `mine` if that is this one."""
        group = self.coordinates.groups.get("pipeline")
        value = torch.empty(self.shapes[name], device=device) if mine is None else mine.contiguous()
        if group is not None:
            dist.broadcast(value, src=dist.get_global_rank(group, self._stage_of(name)), group=group)
        return value


def _moved_out(parameters: Mapping[str, nn.Parameter], name: str, size: torch.Size) -> Tensor:
    """Move a weight out of its model, which is left with an empty one."""
    value = parameters[name].detach()
    parameters[name].data = value.new_empty(0)
    return value


def set_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a model weights, by name, as new parameters; it may be on the meta device."""
    for name, weight in weights.items():
        module, _, last = name.rpartition(".")
        setattr(model.get_submodule(module), last, nn.Parameter(weight))


class ModelParallelUnit:
    """What DeepSpeed asks about a model that is sharded already: Megatron-LM's `mpu`."""

    def __init__(self, coordinates: Coordinates) -> None:
        self._replicas, self._shards = coordinates.groups["replicas"], coordinates.groups["tensor"]

    def get_data_parallel_group(self) -> dist.ProcessGroup:
        """The workers that hold the same weights, among which ZeRO shards its state."""
        return self._replicas

    def get_data_parallel_rank(self) -> int:
        """This worker's rank among them."""
        return dist.get_rank(self._replicas)

    def get_data_parallel_world_size(self) -> int:
        """Their number."""
        return dist.get_world_size(self._replicas)

    def get_model_parallel_group(self) -> dist.ProcessGroup:
        """The workers whose weights make up a model, over which the norm of the gradient is summed."""
        return self._shards

    def get_model_parallel_rank(self) -> int:
        """This worker's rank among them; the first counts the weights that all have whole."""
        return dist.get_rank(self._shards)

    def get_model_parallel_world_size(self) -> int:
        """Their number."""
        return dist.get_world_size(self._shards)
