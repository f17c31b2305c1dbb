"""Places a training on its workers: the coordinates of each worker, its shard of the model, and gathering the whole model again.

Sharding moves the weights out of the given model into a copy; until the end of training the given model has no weights.
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
"""Returns a whole weight, in fp32 on the CPU; takes its name in the model and its size."""


@dataclass(frozen=True)
class Coordinates:
    """A worker's ranks along the axes of a layout, and the process groups that it communicates in."""

    layout: ParallelLayout
    ranks: Mapping[str, int]
    """This worker's rank along each axis, by axis."""
    groups: Mapping[str, dist.ProcessGroup]
    """Process groups by axis, for axes with more than one worker; "replicas": the workers that hold the same weights."""

    @classmethod
    def of(cls, layout: ParallelLayout, rank: int, workers: int) -> "Coordinates":
        """The coordinates of a worker. All workers must call this together, inside a process group.

        Raises:
            ConfigError: the workers do not form whole replicas.
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
        """Number of workers with the same weights and different tokens; DeepSpeed averages gradients over them."""
        return self.layout.replicas * self.layout.sequence

    @property
    def is_counted(self) -> bool:
        """Whether this worker contributes the loss of its tokens to sums; true for one worker per replica and sequence shard."""
        return self.ranks["tensor"] == 0 and self.ranks["pipeline"] == self.layout.pipeline - 1

    def micro_batches(self, batches: Batches, step: int) -> Sequence[Batch]:
        """This worker's data of a step: its replica's share of the batch, and its shard of each sequence."""
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
    """One worker's shard of the weights of a model."""

    model: nn.Module
    """A module on the CPU with the parameters of this shard; the model itself if it is not sharded."""
    coordinates: Coordinates
    shapes: Mapping[str, torch.Size]
    """Sizes of the whole parameters by name, in the model's order."""

    @classmethod
    def of(cls, model: nn.Module, coordinates: Coordinates, weights: Weights | None = None) -> "ModelShard":
        """The shard of a worker.

        Args:
            model: the whole model; its weights are moved out of it.
            coordinates: coordinates of the worker.
            weights: returns the weights, if the model is on the meta device.

        Raises:
            ConfigError: the layout does not divide the model's shape, or would shard a model that is not a `Decoder`.
        """
        shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        if coordinates.layout.workers_per_replica == 1:
            if weights is not None:
                set_weights(model, {name: weights(name, size) for name, size in shapes.items()})
            return cls(model, coordinates, shapes)
        if not isinstance(model, Decoder):
            raise ConfigError(f"training.layout shards a {type(model).__name__}; allowed: a Decoder, or a layout of data alone")
        coordinates.layout.require_fit(model.shape)
        with torch.device("meta"):
            shard = cls(Decoder(model.shape), coordinates, shapes)
        shard._fill(weights or partial(_moved_out, dict(model.named_parameters())))
        return shard

    @property
    def sizes(self) -> dict[str, int]:
        """Number of elements of each whole parameter, by name."""
        return {name: shape.numel() for name, shape in self.shapes.items()}

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters of the shard, by their names in the whole model."""
        for name, parameter in self.model.named_parameters():
            yield self._name_in_whole(name), parameter

    def saves(self, name: str) -> bool:
        """Whether this worker saves that parameter; a parameter that is not sharded is saved by the first tensor shard only."""
        return self.coordinates.ranks["tensor"] == 0 or tensor.sharded_dimension(name) is not None

    def in_whole(self, name: str, start: int) -> tuple[int, Columns | None]:
        """The index, in the whole flattened parameter or in its returned columns, of element `start` of the shard's parameter."""
        dimension, rank, shards = self._sharding(name)
        if dimension == 0:
            return start + rank * self.shapes[name].numel() // shards, None
        if dimension == 1:
            width = self.shapes[name][1] // shards
            return start, Columns(rank * width, (rank + 1) * width, self.shapes[name][1])
        return start, None

    def gathered(self, weight_of: Callable[[nn.Parameter], Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Yield whole parameters by name, on the CPU of the first worker; nothing on the others.

        All workers must call this together and iterate to the end. Parameters are gathered one at a time, so that no device holds
        the whole model.

        Args:
            weight_of: returns this worker's shard of a parameter, in fp32, on the training device.
        """
        own = dict(self.named_parameters())
        device = next(iter(own.values())).device
        for name in self.shapes:
            mine = self._joined(name, weight_of(own[name])) if name in own else None
            whole = self._from_stage(name, mine, device)
            if dist.get_rank() == 0:
                yield name, whole.cpu()

    def _fill(self, weights: Weights) -> None:
        """Fill the shard with its share of each weight; only one whole weight from `weights` is in memory at a time."""
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
        """Remove the layers of other pipeline stages."""
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
        """The dimension along which a parameter is sharded (None: not sharded), this shard's rank, and the number of shards."""
        dimension = tensor.sharded_dimension(name) if self.coordinates.layout.tensor > 1 else None
        return dimension, self.coordinates.ranks["tensor"], self.coordinates.layout.tensor

    def _joined(self, name: str, shard: Tensor) -> Tensor:
        """A parameter joined from the shards along the tensor axis."""
        dimension, _, shards = self._sharding(name)
        if dimension is None:
            return shard
        gathered = [torch.empty_like(shard) for _ in range(shards)]
        dist.all_gather(gathered, shard.contiguous(), group=self.coordinates.groups["tensor"])
        return torch.cat(gathered, dimension)

    def _from_stage(self, name: str, mine: Tensor | None, device: torch.device) -> Tensor:
        """A parameter, broadcast by the pipeline stage that holds it; that stage passes it as `mine`."""
        group = self.coordinates.groups.get("pipeline")
        value = torch.empty(self.shapes[name], device=device) if mine is None else mine.contiguous()
        if group is not None:
            dist.broadcast(value, src=dist.get_global_rank(group, self._stage_of(name)), group=group)
        return value


def _moved_out(parameters: Mapping[str, nn.Parameter], name: str, size: torch.Size) -> Tensor:
    """Move a weight out of its model, leaving an empty tensor there."""
    value = parameters[name].detach()
    parameters[name].data = value.new_empty(0)
    return value


def set_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Replace parameters of a model by these weights, by name; the model may be on the meta device."""
    for name, weight in weights.items():
        module, _, last = name.rpartition(".")
        setattr(model.get_submodule(module), last, nn.Parameter(weight))


class ModelParallelUnit:
    """Describes a sharded model to DeepSpeed, with the interface of Megatron-LM's `mpu`."""

    def __init__(self, coordinates: Coordinates) -> None:
        self._replicas, self._shards = coordinates.groups["replicas"], coordinates.groups["tensor"]

    def get_data_parallel_group(self) -> dist.ProcessGroup:
        """The group of workers with the same weights, among which ZeRO shards its state."""
        return self._replicas

    def get_data_parallel_rank(self) -> int:
        """This worker's rank in the data-parallel group."""
        return dist.get_rank(self._replicas)

    def get_data_parallel_world_size(self) -> int:
        """The size of the data-parallel group."""
        return dist.get_world_size(self._replicas)

    def get_model_parallel_group(self) -> dist.ProcessGroup:
        """The group of workers whose shards make up a model; the gradient norm is summed over it."""
        return self._shards

    def get_model_parallel_rank(self) -> int:
        """This worker's rank in the model-parallel group; the first one counts the weights that are not sharded."""
        return dist.get_rank(self._shards)

    def get_model_parallel_world_size(self) -> int:
        """The size of the model-parallel group."""
        return dist.get_world_size(self._shards)
