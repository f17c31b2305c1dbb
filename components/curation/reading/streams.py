"""Reads and decompresses raw files in bounded memory, whatever they contain."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard

from components.errors import SourceError

CHUNK = 1 << 20
"""Bytes read at a time."""

ZSTANDARD_CHUNK = 1 << 10
"""Compressed bytes passed to zstandard at a time. A block of one repeated byte takes 4 bytes and expands to 128 KiB (RFC 8878,
section 3.1.1.2), so a kilobyte expands to at most 32 MiB."""

MAX_WINDOW_BYTES = 1 << 27
"""Maximum memory that a zstandard frame may require: the default window of `zstd --long`."""

MAX_EXPANSION = 250
"""Maximum ratio of decompressed to compressed bytes. Text has 3 to 10, repetitive logs about 50, a decompression bomb a thousand
(deflate: at most 1032)."""

MIN_BOMB_BYTES = 64 * 1024 * 1024
"""Decompressed bytes from which the expansion is checked; less does no harm."""


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file in chunks, decompressed according to its suffix.

    Raises:
        SourceError: it expands so much that it must be a decompression bomb.
        OSError, EOFError, zlib.error, zstandard.ZstdError: it is damaged or truncated.
    """
    with path.open("rb") as stream:
        if path.suffix.lower() == ".gz":
            yield from _guarded(_raw_chunks(gzip.GzipFile(fileobj=stream)), stream, path)
        elif path.suffix.lower() == ".zst":
            yield from _guarded(_zstandard_chunks(stream), stream, path)
        else:
            yield from _raw_chunks(stream)


def lines(data: Iterator[bytes], max_bytes: int) -> Iterator[bytes | None]:
    """The lines without their newlines; None for a line of more than `max_bytes`, which is never held in memory."""
    held: list[bytes] = []
    size = 0
    for chunk in data:
        head, *others = chunk.split(b"\n")
        size += len(head)
        held = [*held, head] if size <= max_bytes else []
        for line in others:
            yield b"".join(held) if size <= max_bytes else None
            held, size = [line], len(line)
    if size:
        yield b"".join(held) if size <= max_bytes else None


def whole(data: Iterator[bytes], max_bytes: int) -> bytes | None:
    """All bytes, or None if there are more than `max_bytes`, in which case the rest is not read."""
    held: list[bytes] = []
    size = 0
    for chunk in data:
        size += len(chunk)
        if size > max_bytes:
            return None
        held.append(chunk)
    return b"".join(held)


def _guarded(data: Iterator[bytes], stream: IO[bytes], path: Path) -> Iterator[bytes]:
    size = 0
    for chunk in data:
        size += len(chunk)
        if size > MIN_BOMB_BYTES and size > MAX_EXPANSION * stream.tell():
            expansion = f"{stream.tell()} bytes expand to more than {size}, over {MAX_EXPANSION} times as many"
            raise SourceError(f"{path}: {expansion}; it may be a decompression bomb")
        yield chunk


def _raw_chunks(stream: IO[bytes] | gzip.GzipFile, size: int = CHUNK) -> Iterator[bytes]:
    while chunk := stream.read(size):
        yield chunk


def _zstandard_chunks(stream: IO[bytes]) -> Iterator[bytes]:
    # The library's stream reader is not used, since it treats the end of the file as the end of the frame and so hides
    # truncation.
    decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    frame = decompressor.decompressobj()
    complete = True
    for chunk in _raw_chunks(stream, ZSTANDARD_CHUNK):
        while chunk:
            if frame.eof:
                frame = decompressor.decompressobj()
            yield frame.decompress(chunk)
            complete, chunk = frame.eof, frame.unused_data
    if not complete:
        raise EOFError("the file ends inside a zstandard frame")
