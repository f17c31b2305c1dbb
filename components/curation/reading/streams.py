"""The bytes of raw files, decompressed by suffix, in bounded memory whatever they hold."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard

from components.errors import SourceError

CHUNK = 1 << 20
"""Bytes read at a time."""

ZSTANDARD_CHUNK = 1 << 10
"""Compressed bytes given to zstandard at a time: its blocks of one repeated byte take 4 bytes and give 128 KiB (RFC 8878,
section 3.1.1.2), so a kilobyte can become 32 MiB, and no more."""

WINDOW = 1 << 27
"""Bytes of memory that a zstandard frame may ask for: what `zstd --long` takes at its most."""

EXPANSION = 250
"""Bytes from one compressed byte at most: text gives 3 to 10, repetitive logs some 50, a bomb a thousand (deflate: 1032)."""

FREE = 64 * 1024 * 1024
"""Bytes that a file may give before its expansion counts: so little harms nobody."""


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, decompressed by its suffix.

    Raises:
        SourceError: it gives so many bytes for its size that it is a bomb.
        OSError, EOFError, zlib.error, zstandard.ZstdError: it is damaged, or ends too early.
    """
    with path.open("rb") as stream:
        if path.suffix.lower() == ".gz":
            yield from _guarded(_pieces(gzip.GzipFile(fileobj=stream)), stream, path)
        elif path.suffix.lower() == ".zst":
            yield from _guarded(_zstandard_pieces(stream), stream, path)
        else:
            yield from _pieces(stream)


def lines(pieces: Iterator[bytes], longest: int) -> Iterator[bytes | None]:
    """The lines without their ends; None stands for a line of more than `longest` bytes, which is never held."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        head, *others = piece.split(b"\n")
        size += len(head)
        held = [*held, head] if size <= longest else []
        for line in others:
            yield b"".join(held) if size <= longest else None
            held, size = [line], len(line)
    if size:
        yield b"".join(held) if size <= longest else None


def whole(pieces: Iterator[bytes], longest: int) -> bytes | None:
    """All bytes, or None where there are more than `longest`: the rest is not read."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > longest:
            return None
        held.append(piece)
    return b"".join(held)


def _guarded(pieces: Iterator[bytes], stream: IO[bytes], path: Path) -> Iterator[bytes]:
    given = 0
    for piece in pieces:
        given += len(piece)
        if given > FREE and given > EXPANSION * stream.tell():
            raise SourceError(f"{path}: {stream.tell()} bytes give more than {given}, over {EXPANSION} times as many: a bomb?")
        yield piece


def _pieces(stream: IO[bytes] | gzip.GzipFile, size: int = CHUNK) -> Iterator[bytes]:
    while piece := stream.read(size):
        yield piece


def _zstandard_pieces(stream: IO[bytes]) -> Iterator[bytes]:
    # The library's own stream reader takes the end of the file for the end of the frame, so truncation would pass unseen.
    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW)
    frame = decompressor.decompressobj()
    complete = True
    for piece in _pieces(stream, ZSTANDARD_CHUNK):
        while piece:
            if frame.eof:
                frame = decompressor.decompressobj()
            yield frame.decompress(piece)
            complete, piece = frame.eof, frame.unused_data
    if not complete:
        raise EOFError("the file ends inside a zstandard frame")
