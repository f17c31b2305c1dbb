"""Saves the training state as fragments of named parameters, in safetensors files, and loads it with any layout of workers.

ZeRO shards the flattened fp32 weights and both moments of AdamW; the boundaries of the shards depend on the number of workers
and the ZeRO stage. So each worker writes its fragments under keys "KIND/START/NAME": the elements of the flattened parameter
NAME from START on. When loading, a worker reads the elements that it needs from the files that contain them.

For a matrix that is sharded by columns, NAME ends with "[A:B/C]": the fragment holds columns A to B of C, flattened row by row,
and START counts the elements of these columns.
"""

import contextlib
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from components.errors import CheckpointError
from components.files import JSON
from components.training.checkpoints import direct_files

KINDS = ("weight", "first_moment", "second_moment")
"""The values that are saved for every element of a parameter, all in fp32."""

_DTYPES = {torch.float32: "F32", torch.uint8: "U8"}

UPDATES = "updates"
RANDOM = "random/"


@dataclass(frozen=True, order=True)
class Columns:
    """Consecutive columns of a matrix."""

    first: int
    """Index of the first column."""
    end: int
    """Index after the last column."""
    of: int
    """Number of columns of the whole matrix."""

    @property
    def count(self) -> int:
        """Number of columns."""
        return self.end - self.first


@dataclass(frozen=True)
class Fragment:
    """Consecutive elements of one flattened parameter, which one worker holds."""

    name: str
    """Name of the parameter."""
    start: int
    """Index of the first element."""
    tensors: Mapping[str, Tensor]
    """Views of the engine's tensors, by kind (one of `KINDS`): fp32, all of the same length."""
    columns: Columns | None = None
    """The columns that the fragment belongs to, if the matrix is sharded by columns; otherwise None."""


@dataclass(frozen=True)
class State:
    """The state that one worker writes to a checkpoint."""

    fragments: Sequence[Fragment]
    """Weights and moments."""
    updates: int
    """Number of updates that AdamW has made; its bias correction depends on it."""
    random: Mapping[str, Tensor]
    """States of the random number generators by device, uint8."""


class Snapshot:
    """A copy of the state in host memory. Its buffers are reused for later copies."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}
        self._updates = 0

    def reserve(self, state: State) -> None:
        """Allocate buffers for a state, touched or, for a GPU, pinned, so that the first copy is fast."""
        for name, tensor in _named(state):
            if name not in self._buffers:
                self._buffers[name] = torch.zeros(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)

    def take(self, state: State) -> None:
        """Copy the state; its tensors must not change during the copy."""
        self.reserve(state)
        self._updates = state.updates
        with _on_own_stream([tensor for _, tensor in _named(state)]):
            for name, tensor in _named(state):
                self._buffers[name].copy_(tensor, non_blocking=True)

    def write(self, path: Path) -> str:
        """Write the copy to a file, read it back, and return its checksum.

        Raises:
            OSError: the file cannot be written, or its content differs when read back.
        """
        checksum = direct_files.write(path, _contents(self._buffers, {UPDATES: str(self._updates)}))
        if direct_files.checksum_of(path) != checksum:
            raise OSError(f"{path}: the content read back differs from what was written")
        return checksum


def _contents(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[Tensor]:
    """The bytes of a safetensors file: its header, then each tensor (https://github.com/huggingface/safetensors#format).

    Replaces the library's `save_file`, which always uses the page cache, and gives the same bytes: wider elements come first.
    """
    header: dict[str, JSON] = {"__metadata__": metadata}
    end, ordered = 0, sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    for name, tensor in ordered:
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [end, end + tensor.nbytes]}
        end += tensor.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield torch.frombuffer(bytearray(struct.pack("<Q", len(text)) + text), dtype=torch.uint8)
    for _, tensor in ordered:
        yield tensor.flatten().view(torch.uint8)


@contextlib.contextmanager
def _on_own_stream(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Run GPU copies inside the block on a separate CUDA stream.

    They wait for work queued before the block; work queued later does not wait for them.
    """
    device = next((tensor.device for tensor in tensors if tensor.is_cuda), None)
    if device is None:
        yield
        return
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()


@dataclass(frozen=True)
class _Span:
    """Consecutive elements of a parameter, and the file that contains them."""

    start: int
    length: int
    columns: Columns | None
    path: Path


class SavedState:
    """Reads the fragments in all files of one checkpoint."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read the headers of the files. Raises `CheckpointError` if a file is not a complete safetensors file."""
        self._spans: dict[tuple[str, str], list[_Span]] = {}
        self._paths = tuple(paths)
        for path in paths:
            for kind, name, start, length, columns in _listed(path):
                self._spans.setdefault((kind, name), []).append(_Span(start, length, columns, path))

    def require_whole(self, sizes: Mapping[str, int]) -> None:
        """Raise `CheckpointError` unless the fragments cover every element of each parameter exactly once.

        `sizes` has the number of elements of each parameter, by name.
        """
        unknown = sorted({name for _, name in self._spans} - set(sizes))
        if unknown:
            raise CheckpointError(f"{unknown[0]} is not a parameter of this model")
        for name, size in sizes.items():
            for kind in KINDS:
                self._require_covered(kind, name, size)

    def read(self, kind: str, name: str, start: int, length: int, columns: Columns | None = None) -> Tensor:
        """Elements `start` to `start + length` of a flattened parameter, or of its flattened `columns`, in fp32.

        Raises:
            CheckpointError: some of these elements were not saved.
        """
        spans = self._spans.get((kind, name), [])
        if {span.columns for span in spans} <= {columns}:
            return _joined(spans, kind, name, start, length)
        width = (columns or next(span.columns for span in spans if span.columns is not None)).of
        whole_RC = self._columns_joined(kind, name, width)
        chosen = whole_RC if columns is None else whole_RC[:, columns.first : columns.end]
        return chosen.flatten()[start : start + length]

    @property
    def updates(self) -> int:
        """Number of updates that AdamW had made."""
        with safe_open(self._paths[0], framework="pt") as stored:
            return int((stored.metadata() or {})[UPDATES])

    def random(self, rank: int) -> dict[str, Tensor]:
        """States of the random number generators of that worker; those of worker 0 if fewer workers had saved."""
        with safe_open(self._paths[rank if rank < len(self._paths) else 0], framework="pt") as stored:
            return {name.removeprefix(RANDOM): stored.get_tensor(name) for name in stored.keys() if name.startswith(RANDOM)}  # noqa: SIM118 - no mapping

    def _require_covered(self, kind: str, name: str, size: int) -> None:
        covered, column = 0, 0
        for columns, spans in self._blocks(kind, name).items():
            if columns is not None and columns.first != column:
                break
            covered += _covered(spans, size if columns is None else size // columns.of * columns.count)
            column = 0 if columns is None else columns.end
        if covered != size:
            raise CheckpointError(f"{kind} of {name}: {covered} of {size} elements were saved")

    def _blocks(self, kind: str, name: str) -> dict[Columns | None, list[_Span]]:
        """Sorted spans of a parameter, grouped by columns."""
        blocks: dict[Columns | None, list[_Span]] = {}
        for span in sorted(self._spans.get((kind, name), []), key=lambda span: (span.columns or _NONE, span.start)):
            blocks.setdefault(span.columns, []).append(span)
        return blocks

    def _columns_joined(self, kind: str, name: str, width: int) -> Tensor:
        """A whole matrix of `width` columns, joined from the files."""
        joined = []
        for columns, spans in self._blocks(kind, name).items():
            values = _joined(spans, kind, name, 0, spans[-1].start + spans[-1].length)
            joined.append(values.view(-1, width if columns is None else columns.count))
        return torch.cat(joined, dim=1)


_NONE = Columns(0, 0, 0)


def _covered(spans: Sequence[_Span], size: int) -> int:
    """How many of `size` elements the spans cover up to the first gap or overlap; less than `size` if there is one."""
    end = 0
    for span in spans:
        if span.start != end:
            return min(end, size - 1)
        end += span.length
    return end


def _joined(spans: Sequence[_Span], kind: str, name: str, start: int, length: int) -> Tensor:
    joined, copied = torch.empty(length), 0
    for span in spans:
        first, last = max(start, span.start), min(start + length, span.start + span.length)
        if first < last:
            joined[first - start : last - start] = _slice(span, kind, name, first, last)
            copied += last - first
    if copied != length:
        raise CheckpointError(f"{kind} of {name}: {copied} of {length} elements from {start} on were saved")
    return joined


def _named(state: State) -> Iterator[tuple[str, Tensor]]:
    for fragment in state.fragments:
        for kind in KINDS:
            yield _key(kind, fragment.start, fragment.name, fragment.columns), fragment.tensors[kind]
    for device, tensor in state.random.items():
        yield RANDOM + device, tensor


def _key(kind: str, start: int, name: str, columns: Columns | None) -> str:
    return f"{kind}/{start}/{name}" + ("" if columns is None else f"[{columns.first}:{columns.end}/{columns.of}]")


def _listed(path: Path) -> list[tuple[str, str, int, int, Columns | None]]:
    """Kind, parameter name, start, length and columns of each fragment in a file."""
    try:
        with safe_open(path, framework="pt") as stored:
            names = [name for name in stored.keys() if not name.startswith(RANDOM)]  # noqa: SIM118 - no mapping
            return [_parsed(name, stored.get_slice(name).get_shape()[0]) for name in names]
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path.name} cannot be read ({error})") from error


def _parsed(key: str, length: int) -> tuple[str, str, int, int, Columns | None]:
    kind, start, rest = key.split("/", 2)
    match = re.fullmatch(r"(.*)\[(\d+):(\d+)/(\d+)\]", rest)
    if match is None:
        return kind, rest, int(start), length, None
    return kind, match[1], int(start), length, Columns(*(int(number) for number in match.groups()[1:]))


def _slice(span: _Span, kind: str, name: str, first: int, last: int) -> Tensor:
    with safe_open(span.path, framework="pt") as stored:
        key = _key(kind, span.start, name, span.columns)
        tensor: Tensor = stored.get_slice(key)[first - span.start : last - span.start]
    return tensor
