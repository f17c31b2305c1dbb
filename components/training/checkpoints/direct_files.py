"""Reads and writes files without the page cache (O_DIRECT), where the file system supports it.

Processor time spent on a checkpoint slows down the training steps. With the page cache, most of it goes to the kernel, which
allocates pages for the file, copies into them, and evicts others, such as those of the training tokens. Without the cache,
writing, reading back and comparing 1.2 GB takes 0.5 s of processor time instead of 2.3 s. Also, the data that is read back
really comes from the disk.
"""

import contextlib
import errno
import fcntl
import mmap
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_BYTES = 16 * 2**20
"""Bytes read or written at a time; no smaller than the stripes of a parallel file system."""

ALIGNED = 4096
"""Alignment in bytes of offsets and lengths, as O_DIRECT requires; no smaller than the blocks of a disk."""

_REFUSALS = (errno.EINVAL, errno.EOPNOTSUPP)

DIRECT: int = getattr(os, "O_DIRECT", 0)  # only on Linux


def write(path: Path, contents: "Iterable[Tensor]") -> str:
    """Write tensors (uint8, on the CPU) one after the other, wait until they are on disk, and return their xxh3_128 in hex.

    Raises:
        OSError: the file cannot be written.
    """
    import torch  # here, because reading manifests does not need torch

    buffer, checksum, end = mmap.mmap(-1, CHUNK_BYTES), xxhash.xxh3_128(), 0
    with _open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
        for size in _filled(torch.frombuffer(buffer, dtype=torch.uint8), contents):
            checksum.update(memoryview(buffer)[:size])
            _write_at(file, memoryview(buffer)[: -(-size // ALIGNED) * ALIGNED], end)
            end += size
        os.ftruncate(file, end)
        os.fsync(file)
    return checksum.hexdigest()


def checksum_of(path: Path) -> str:
    """The xxh3_128 (https://xxhash.com) of a file, in hex. Detects damage, not forgery; five times as fast as sha256.

    Raises:
        OSError: the file cannot be read.
    """
    buffer, checksum, offset = mmap.mmap(-1, CHUNK_BYTES), xxhash.xxh3_128(), 0
    with _open(path, os.O_RDONLY) as file:
        end = os.fstat(file).st_size
        while offset < end:
            size = _called(os.preadv, file, [buffer], offset)
            if offset + size < end:
                size -= size % ALIGNED  # the rest is read with the next chunk
            if size <= 0:
                raise OSError(errno.EIO, f"read stopped at byte {offset} of {end}", str(path))
            checksum.update(memoryview(buffer)[:size])
            offset += size
    return checksum.hexdigest()


@contextlib.contextmanager
def _open(path: Path, flags: int) -> Iterator[int]:
    try:
        file = os.open(path, flags | DIRECT, 0o644)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        file = os.open(path, flags, 0o644)
    try:
        yield file
    finally:
        os.close(file)


def _called(call: Callable[..., int], file: int, *arguments: Any) -> int:
    """Call `call` on the file. If direct access is refused only now, as by some FUSE systems, use the page cache and retry."""
    try:
        return call(file, *arguments)
    except OSError as error:
        flags = fcntl.fcntl(file, fcntl.F_GETFL)
        if error.errno not in _REFUSALS or not flags & DIRECT:
            raise
        fcntl.fcntl(file, fcntl.F_SETFL, flags & ~DIRECT)
        return call(file, *arguments)


def _filled(buffer: "Tensor", contents: "Iterable[Tensor]") -> Iterator[int]:
    """Copy the contents into `buffer` piece by piece and yield the bytes in it each time. torch copies without the GIL."""
    used = 0
    for content in contents:
        for chunk in content.split(CHUNK_BYTES):
            head = chunk[: CHUNK_BYTES - used]
            buffer[used : used + len(head)].copy_(head)
            used += len(head)
            if used == CHUNK_BYTES:
                yield used
                used = len(chunk) - len(head)
                buffer[:used].copy_(chunk[len(head) :])
    if used:
        yield used


def _write_at(file: int, chunk: memoryview, offset: int) -> None:
    """Write a whole chunk of aligned length, with several calls if needed. Raises `OSError` if the disk is full."""
    while chunk:
        size = _called(os.pwrite, file, chunk, offset)
        size -= size % ALIGNED
        if not size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        chunk, offset = chunk[size:], offset + size
