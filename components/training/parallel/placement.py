"""A training laid out on its workers: each one's place, its part of the model, and the whole put together again.

What a layout parts, it parts in a copy; the model that was given is empty meanwhile.
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
"""Makes a whole weight in fp32 on the CPU from its name in the model and its size."""


@dataclass(frozen=True)
class Place:
    """A worker's place in a layout, and the process groups that it talks in."""

    layout: ParallelLayout
    at: Mapping[str, int]
    """Where, by direction."""
    groups: Mapping[str, dist.ProcessGroup]
    """By direction, where there is more than one worker in it; "replicas": the workers that hold the same weights."""

    @classmethod
    def of(cls, layout: ParallelLayout, rank: int, workers: int) -> "Place":
        """That worker's place; all workers together, inside a process group.

        Raises:
            ConfigError: so many workers do not make whole replicas.
        """
        layout = layout.over(workers)
        groups = {}
        if layout.replica > 1:
            directions = {name: (name,) for name in ("tensor", "sequence", "pipeline") if getattr(layout, name) > 1}
            for name, along in {**directions, "replicas": ("data", "sequence")}.items():
                groups[name], _ = dist.new_subgroups_by_enumeration(layout.groups(*along))
        return cls(layout, layout.place(rank), groups)

    @property
    def averaged(self) -> int:
        """Workers that hold the same weights and see other tokens, over whose gradients DeepSpeed takes the mean."""
        return self.layout.replicas * self.layout.sequence

    @property
    def is_counted(self) -> bool:
        """Whether the loss of this worker's tokens is counted here: once in each replica and part of a sequence."""
        return self.at["tensor"] == 0 and self.at["pipeline"] == self.layout.pipeline - 1

    def micro_batches(self, batches: Batches, step: int) -> Sequence[Batch]:
        """What this worker sees of a step: its replica's part of the batch, and of that its part of each sequence."""
        found = batches.micro_batches(step, self.at["data"], self.layout.replicas)
        if self.layout.sequence == 1:
            return found
        return [sequence.part(batch, self.at["sequence"], self.layout.sequence) for batch in found]

    def close(self) -> None:
        """Give the groups back."""
        for group in self.groups.values():
            dist.destroy_process_group(group)


@dataclass(frozen=True)
class Part:
    """What a worker holds of a model."""

    model: nn.Module
    """On the CPU, with its own parameters; the model itself where nothing of it is parted."""
    place: Place
    shapes: Mapping[str, torch.Size]
    """Of the whole parameters, in the order of the whole model."""

    @classmethod
    def of(cls, model: nn.Module, place: Place, weights: Weights | None = None) -> "Part":
        """The part that belongs to a place.

        Args:
            model: whole; what it has is taken from it.
            place: of the worker.
            weights: how its weights are made, where it is on the meta device because it is never whole anywhere.

        Raises:
            ConfigError: a layout that parts what is no `Decoder`, or one whose shape it does not divide.
        """
        shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        if place.layout.replica == 1:
            if weights is not None:
                put(model, {name: weights(name, size) for name, size in shapes.items()})
            return cls(model, place, shapes)
        if not isinstance(model, Decoder):
            raise ConfigError(f"a layout of {type(model).__name__}; allowed: of a Decoder, or of data alone")
        place.layout.require_fit(model.shape)
        with torch.device("meta"):
            found = cls(Decoder(model.shape), place, shapes)
        found._fill(weights or partial(_taken, dict(model.named_parameters())))
        return found

    @property
    def sizes(self) -> dict[str, int]:
        """Elements of each whole parameter."""
        return {name: shape.numel() for name, shape in self.shapes.items()}

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters that are held, under their names in the whole model."""
        for name, parameter in self.model.named_parameters():
            yield self._name_in_whole(name), parameter

    def writes(self, name: str) -> bool:
        """Whether this worker writes that parameter down: of those that all tensor parts have whole, the first part does."""
        return self.place.at["tensor"] == 0 or tensor.parted_dimension(name) is not None

    def in_whole(self, name: str, start: int) -> tuple[int, Columns | None]:
        """Where element `start` of a flattened held parameter lies in the whole one, or in which columns of it."""
        dimension, index, parts = self._cut(name)
        if dimension == 0:
            return start + index * self.shapes[name].numel() // parts, None
        if dimension == 1:
            width = self.shapes[name][1] // parts
            return start, Columns(index * width, (index + 1) * width, self.shapes[name][1])
        return start, None

    def gathered(self, held: Callable[[nn.Parameter], Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Whole parameters by name, on the CPU of the first worker; nothing on the others. All workers together, to the end.

        One at a time, so that no device holds the model whole.

        Args:
            held: what this worker's part of a parameter is, in fp32, on the training device.
        """
        own = dict(self.named_parameters())
        device = next(iter(own.values())).device
        for name in self.shapes:
            mine = self._joined(name, held(own[name])) if name in own else None
            whole = self._from_stage(name, mine, device)
            if dist.get_rank() == 0:
                yield name, whole.cpu()

    def _fill(self, weights: Weights) -> None:
        """Take this part's share of each weight; no two are there whole at once, but for those that the model has already."""
        decoder, groups = self.model, self.place.groups
        assert isinstance(decoder, Decoder)
        self._keep_stage(decoder)
        for name, _ in list(decoder.named_parameters()):
            dimension, index, parts = self._cut(name)
            whole = self._name_in_whole(name)
            value = weights(whole, self.shapes[whole])
            value = value if dimension is None else value.chunk(parts, dimension)[index]
            put(decoder, {name: value.clone(memory_format=torch.contiguous_format)})
        if "tensor" in groups:
            tensor.apply(decoder, groups["tensor"])
        if "sequence" in groups:
            sequence.apply(decoder, groups["sequence"])

    def _keep_stage(self, decoder: Decoder) -> None:
        """Leave out the layers of other stages."""
        stages, at, per_stage = self.place.layout.pipeline, self.place.at["pipeline"], self._layers_per_stage
        decoder.layers = decoder.layers[at * per_stage : (at + 1) * per_stage]
        if at > 0:
            decoder.embedding = nn.Identity()  # type: ignore[assignment]
        if at < stages - 1:
            decoder.norm, decoder.head = nn.Identity(), nn.Identity()  # type: ignore[assignment]

    def _name_in_whole(self, name: str) -> str:
        if self.place.layout.pipeline == 1 or not name.startswith("layers."):
            return name
        _, number, rest = name.split(".", 2)
        return f"layers.{int(number) + self.place.at['pipeline'] * self._layers_per_stage}.{rest}"

    @property
    def _layers_per_stage(self) -> int:
        assert isinstance(self.model, Decoder)
        return self.model.shape.n_layer // self.place.layout.pipeline

    def _stage_of(self, name: str) -> int:
        if name.startswith("layers."):
            return int(name.split(".")[1]) // self._layers_per_stage
        return 0 if name.startswith("embedding.") else self.place.layout.pipeline - 1

    def _cut(self, name: str) -> tuple[int | None, int, int]:
        """The dimension by which a parameter is parted, which part this is, and how many there are."""
        dimension = tensor.parted_dimension(name) if self.place.layout.tensor > 1 else None
        return dimension, self.place.at["tensor"], self.place.layout.tensor

    def _joined(self, name: str, held: Tensor) -> Tensor:
        dimension, _, parts = self._cut(name)
        if dimension is None:
            return held
        found = [torch.empty_like(held) for _ in range(parts)]
        dist.all_gather(found, held.contiguous(), group=self.place.groups["tensor"])
        return torch.cat(found, dimension)

    def _from_stage(self, name: str, mine: Tensor | None, device: torch.device) -> Tensor:
        """A whole parameter, wherever in the pipeline it is; `mine` if it is here."""
        group = self.place.groups.get("pipeline")
        value = torch.empty(self.shapes[name], device=device) if mine is None else mine.contiguous()
        if group is not None:
            dist.broadcast(value, src=dist.get_global_rank(group, self._stage_of(name)), group=group)
        return value


def _taken(parameters: Mapping[str, nn.Parameter], name: str, size: torch.Size) -> Tensor:
    """A weight of a model, which does not have it any more then."""
    value = parameters[name].detach()
    parameters[name].data = value.new_empty(0)
    return value


def put(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a model these weights, by name, as new parameters: also where it is on the meta device."""
    for name, weight in weights.items():
        module, _, last = name.rpartition(".")
        setattr(model.get_submodule(module), last, nn.Parameter(weight))


class ModelParallelUnit:
    """What DeepSpeed asks of a model that is parted already: Megatron-LM's `mpu`."""

    def __init__(self, place: Place) -> None:
        self._replicas, self._parts = place.groups["replicas"], place.groups["tensor"]

    def get_data_parallel_group(self) -> dist.ProcessGroup:
        """The workers that hold the same weights, between which ZeRO parts its state."""
        return self._replicas

    def get_data_parallel_rank(self) -> int:
        """This worker's among them."""
        return dist.get_rank(self._replicas)

    def get_data_parallel_world_size(self) -> int:
        """How many they are."""
        return dist.get_world_size(self._replicas)

    def get_model_parallel_group(self) -> dist.ProcessGroup:
        """The workers whose weights make up a model, over which the norm of the gradient is summed."""
        return self._parts

    def get_model_parallel_rank(self) -> int:
        """This worker's among them; the first counts what all have whole."""
        return dist.get_rank(self._parts)

    def get_model_parallel_world_size(self) -> int:
        """How many they are."""
        return dist.get_world_size(self._parts)
