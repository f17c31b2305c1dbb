"""The state of a training as fragments of named parameters, in safetensors: any layout of workers loads what any other saved.

ZeRO parts the flattened fp32 weights and both moments of AdamW between the workers; where the cuts lie depends on their number
and on the stage. So each worker writes the fragments that it keeps under "KIND/START/NAME": elements START and on of the
flattened parameter NAME. Whoever loads reads the elements that it needs from whichever files hold them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from components.errors import CheckpointError

KINDS = ("weight", "first_moment", "second_moment")
"""What is kept for every element of a parameter, all in fp32."""

UPDATES = "updates"
RANDOM = "random/"


@dataclass(frozen=True)
class Fragment:
    """Consecutive elements of one flattened parameter, as one worker keeps them."""

    name: str
    start: int
    """The first element."""
    tensors: Mapping[str, Tensor]
    """Views of what the engine keeps, by kind: fp32, of one length."""


@dataclass(frozen=True)
class State:
    """What one worker has to write down."""

    fragments: Sequence[Fragment]
    updates: int
    """Updates that AdamW has made: its bias correction counts them."""
    random: Mapping[str, Tensor]
    """States of random number generators by device, uint8."""


class Snapshot:
    """A copy of a state in the host's memory, whose room is kept from one copy to the next."""

    def __init__(self) -> None:
        self._room: dict[str, Tensor] = {}
        self._updates = 0

    def take(self, state: State) -> None:
        """Copy the state; what it views must not change meanwhile."""
        self._updates = state.updates
        for name, tensor in _named(state):
            if name not in self._room:
                self._room[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
            self._room[name].copy_(tensor)

    def write(self, path: Path) -> None:
        """Write the copy, read it back and compare.

        Raises:
            OSError: the file cannot be written, or reads otherwise than it was written.
        """
        try:
            save_file(self._room, path, metadata={UPDATES: str(self._updates)})
            with safe_open(path, framework="pt") as stored:
                wrong = [name for name, tensor in self._room.items() if not torch.equal(stored.get_tensor(name), tensor)]
        except SafetensorError as error:
            raise OSError(f"{path}: {error}") from error
        if wrong:
            raise OSError(f"{path}: {wrong[0]} does not read as it was written")


@dataclass(frozen=True)
class _Span:
    """Where elements of a parameter lie."""

    start: int
    length: int
    path: Path


class SavedState:
    """The fragments in the files of all workers of one checkpoint."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read the heads of the files. Raises `CheckpointError` for one that is no whole safetensors file."""
        self._spans: dict[tuple[str, str], list[_Span]] = {}
        self._paths = tuple(paths)
        for path in paths:
            for kind, start, name, length in _listed(path):
                self._spans.setdefault((kind, name), []).append(_Span(start, length, path))

    def require_whole(self, sizes: Mapping[str, int]) -> None:
        """Raise `CheckpointError` unless the fragments cover each parameter of `sizes` elements, every element once."""
        unknown = sorted({name for _, name in self._spans} - set(sizes))
        if unknown:
            raise CheckpointError(f"{unknown[0]} is no parameter of this model")
        for name, size in sizes.items():
            for kind in KINDS:
                self._require_covered(kind, name, size)

    def read(self, kind: str, name: str, start: int, length: int) -> Tensor:
        """Elements `start` to `start + length` of a flattened parameter, fp32. `CheckpointError` where some are missing."""
        out, found = torch.empty(length), 0
        for span in self._spans.get((kind, name), []):
            first, last = max(start, span.start), min(start + length, span.start + span.length)
            if first < last:
                out[first - start : last - start] = _slice(span, kind, name, first, last)
                found += last - first
        if found != length:
            raise CheckpointError(f"{kind} of {name}: {found} of {length} elements from {start} on are saved")
        return out

    @property
    def updates(self) -> int:
        """Updates of AdamW."""
        with safe_open(self._paths[0], framework="pt") as stored:
            return int((stored.metadata() or {})[UPDATES])

    def random(self, rank: int) -> dict[str, Tensor]:
        """Generator states of that worker; of the first where there were fewer."""
        with safe_open(self._paths[rank if rank < len(self._paths) else 0], framework="pt") as stored:
            return {name.removeprefix(RANDOM): stored.get_tensor(name) for name in stored.keys() if name.startswith(RANDOM)}  # noqa: SIM118 - no mapping

    def _require_covered(self, kind: str, name: str, size: int) -> None:
        end = 0
        for span in sorted(self._spans.get((kind, name), []), key=lambda span: span.start):
            if span.start != end:
                break
            end += span.length
        if end != size:
            raise CheckpointError(f"{kind} of {name}: {end} of {size} elements are saved")


def _named(state: State) -> Iterator[tuple[str, Tensor]]:
    for fragment in state.fragments:
        for kind in KINDS:
            yield f"{kind}/{fragment.start}/{fragment.name}", fragment.tensors[kind]
    for device, tensor in state.random.items():
        yield RANDOM + device, tensor


def _listed(path: Path) -> list[tuple[str, int, str, int]]:
    """Kind, start, name and length of each fragment in a file."""
    try:
        with safe_open(path, framework="pt") as stored:
            names = [name for name in stored.keys() if not name.startswith(RANDOM)]  # noqa: SIM118 - no mapping
            parts = [(*name.split("/", 2), stored.get_slice(name).get_shape()[0]) for name in names]
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path.name} cannot be read ({error})") from error
    return [(kind, int(start), name, length) for kind, start, name, length in parts]


def _slice(span: _Span, kind: str, name: str, first: int, last: int) -> Tensor:
    with safe_open(span.path, framework="pt") as stored:
        tensor: Tensor = stored.get_slice(f"{kind}/{span.start}/{name}")[first - span.start : last - span.start]
    return tensor
