"""Reads small files whole, and of large ones the first and last lines and a thousand between them.

A sample is a file of its own, so that the reader of a stage reads it like any other.
"""

import contextlib
import itertools
import random
import re
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import zstandard

from components.curation.reading.streams import MAX_WINDOW_BYTES
from components.errors import SourceError
from components.locations import fetched_file, has_ranges, in_bucket, read_ranges, size_of

WHOLE_BYTES = 8 * 2**20
"""Bytes up to which a file is read whole: the readers of conversations check about 10 MB/s on a slow core."""

EDGE_BYTES = 2**20
"""Bytes at the start and at the end of a larger file whose lines are read."""

DRAWN_LINES = 1000
"""Lines drawn between the two. If a hundredth of a file's lines are bad, all of them are good with a probability of 4e-5."""

COMPRESSED = (".gz", ".zst")
"""Suffixes of files that can only be read from the start; of a larger one, the first lines are read."""

_MAX_EXPANSION = 8
"""Expected ratio of decompressed to compressed bytes of JSON: what counts as small is smaller by this factor."""


@dataclass(frozen=True, slots=True)
class LineSample:
    """A local file with the lines of a file, or a sample of them."""

    path: Path
    whole: bool = True
    """Whether the sample has every line of the file."""
    drawn: range = range(0)
    """Numbers of the lines that were drawn from between the first and the last lines; empty if none were."""
    offsets: tuple[int, ...] = ()
    """For each line of a sample with drawn lines, its offset in the file in bytes; empty if all are the first of the file."""

    def where(self, line: int) -> str:
        """Where line number `line` of the sample, from 1, is in the file."""
        is_first = not self.drawn or line < self.drawn.start
        return f"line {line}" if is_first else f"the line at byte {self.offsets[line - 1]}"

    def represents(self, line: int) -> bool:
        """Whether a line is one of those whose share is that in the whole file: one of the drawn lines, or else any."""
        return not self.drawn or line in self.drawn

    def named(self, message: str, name: str) -> str:
        """A message about the sample, as a message about the file `name`."""
        return re.sub(r"\bline (\d+)", lambda match: self.where(int(match[1])), message.replace(str(self.path), name))


@contextlib.contextmanager
def sampled(location: str) -> Iterator[LineSample]:
    """Yield the file with lines at a path or URI, or a sample of it.

    Raises:
        OSError: a local file cannot be read.
        SourceError: a compressed file is damaged.
        StoreError: the object store cannot be reached or refuses the request.
    """
    size = size_of(location)
    compressed = PurePath(location).suffix in COMPRESSED
    with tempfile.TemporaryDirectory() as folder:
        if size > (WHOLE_BYTES // _MAX_EXPANSION if compressed else WHOLE_BYTES):
            sample = _prefix(location, Path(folder)) if compressed else _drawn(location, size, Path(folder))
            if sample.path.stat().st_size:
                yield sample
                return
        # A file without a newline in its first or last bytes is read whole too.
        with fetched_file(location) as path:
            yield LineSample(path)


def _drawn(location: str, size: int, folder: Path) -> LineSample:
    """The first, some and the last lines of a file, in this order."""
    head, tail = read_ranges(location, [(0, EDGE_BYTES), (size - EDGE_BYTES, size)])
    first = _complete(head, 0, from_start=True, to_end=False)
    length = min(EDGE_BYTES, max(4096, 4 * EDGE_BYTES // max(1, len(first))))
    draw = random.Random(size)
    starts = sorted(draw.randrange(EDGE_BYTES, max(EDGE_BYTES + 1, size - EDGE_BYTES - length)) for _ in range(DRAWN_LINES))
    chunks = read_ranges(location, [(start, start + length) for start in starts])
    between = [_complete(chunk, start, from_start=False, to_end=False)[:1] for start, chunk in zip(starts, chunks, strict=True)]
    last = _complete(tail, size - EDGE_BYTES, from_start=False, to_end=True)
    drawn = dict(itertools.chain(*between)).items() - dict([*first, *last]).items()
    lines = dict([*first, *sorted(drawn), *last])
    path = folder / PurePath(location).name
    path.write_bytes(b"".join(line + b"\n" for line in lines.values()))
    return LineSample(path, whole=False, drawn=range(len(first) + 1, len(first) + 1 + len(drawn)), offsets=tuple(lines))


def _complete(chunk: bytes, start: int, *, from_start: bool, to_end: bool) -> list[tuple[int, bytes]]:
    """The lines that a chunk of a file contains from end to end, each with its offset in the file."""
    offset, lines = start, []
    for line in chunk.split(b"\n"):
        lines.append((offset, line))
        offset += len(line) + 1
    # After a final newline there is no line
    return lines[0 if from_start else 1 : None if to_end and lines[-1][1] else -1]


def _prefix(location: str, folder: Path) -> LineSample:
    """The first lines of a compressed file, decompressed."""
    (data,) = read_ranges(location, [(0, WHOLE_BYTES // _MAX_EXPANSION)])
    name = PurePath(location)
    try:
        text = _first_bytes_of_gzip(data) if name.suffix == ".gz" else _first_bytes_of_zstandard(data)
    except (zlib.error, zstandard.ZstdError) as error:
        raise SourceError(f"{location}: cannot be read to its end ({error}); it may be truncated or damaged") from error
    path = folder / name.stem
    path.write_bytes(text.rpartition(b"\n")[0])
    return LineSample(path, whole=False)


def _first_bytes_of_gzip(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(data, WHOLE_BYTES)


def _first_bytes_of_zstandard(data: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).stream_reader(data, read_across_frames=True)
    return reader.read(WHOLE_BYTES)


def is_readable_here(location: str, *, by_line: bool) -> bool:
    """Whether a file can be read, or sampled if it has lines, without fetching more than `WHOLE_BYTES`."""
    return not in_bucket(location) or (by_line and has_ranges(location)) or size_of(location) <= WHOLE_BYTES
