"""Files past the page cache: their bytes are those of any other file, whatever their length and whatever the disk takes."""

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import xxhash
from torch import Tensor

from components.training.checkpoints import direct_files
from components.training.checkpoints.direct_files import ALIGNED, checksum_of, write

CHUNK_BYTES = 4 * ALIGNED


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_files, "CHUNK_BYTES", CHUNK_BYTES)


def some_bytes(number: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (number,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


LENGTHS = [
    [],
    [0],
    [1],
    [ALIGNED],
    [ALIGNED - 1, 1, 1],
    [CHUNK_BYTES],
    [CHUNK_BYTES - 1, 2],
    [5, CHUNK_BYTES, CHUNK_BYTES],
    [3 * CHUNK_BYTES + 17, 0, 8, ALIGNED],
    [1] * 100,
]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("direct", [True, False])
def test_a_file_has_the_bytes_of_all_tensors_in_their_order(
    lengths: list[int], direct: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not direct:
        monkeypatch.setattr(direct_files, "DIRECT", 0)
    contents = [some_bytes(length, seed) for seed, length in enumerate(lengths)]
    expected = b"".join(content.numpy().tobytes() for content in contents)
    written = write(tmp_path / "file", contents)
    assert (tmp_path / "file").read_bytes() == expected
    assert written == checksum_of(tmp_path / "file") == xxhash.xxh3_128_hexdigest(expected)


def test_a_longer_file_that_stood_there_leaves_nothing(tmp_path: Path) -> None:
    for length in (3 * ALIGNED, 10):
        write(tmp_path / "file", [some_bytes(length)])
    assert (tmp_path / "file").stat().st_size == 10


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_that_refuses_direct_access_is_written_through_its_cache(
    refusal: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refusing(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & direct_files.DIRECT:
            raise OSError(refusal, os.strerror(refusal))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    assert write(tmp_path / "file", [some_bytes(10)]) == checksum_of(tmp_path / "file")


def test_a_file_system_that_refuses_it_when_it_is_written_and_read_is_used_through_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(call: Callable[..., int]) -> Callable[..., int]:
        def refused(file: int, *arguments: Any) -> int:
            if fcntl.fcntl(file, fcntl.F_GETFL) & direct_files.DIRECT:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            return call(file, *arguments)

        return refused

    for name in ("pwrite", "preadv"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    content = some_bytes(3 * ALIGNED + 1)
    written = write(tmp_path / "file", [content])
    assert (tmp_path / "file").read_bytes() == content.numpy().tobytes()
    assert checksum_of(tmp_path / "file") == written


@pytest.mark.parametrize("limit", [ALIGNED, ALIGNED + 100, 3 * ALIGNED])
def test_a_disk_that_takes_and_gives_a_little_at_a_time_gets_it_all(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, get = os.pwrite, os.preadv
    whole = limit - limit % ALIGNED
    monkeypatch.setattr(os, "pwrite", lambda file, chunk, offset: min(put(file, chunk[:whole], offset), limit))
    monkeypatch.setattr(os, "preadv", lambda file, buffers, offset: min(get(file, buffers, offset), limit))
    content = some_bytes(10 * ALIGNED + 5)
    written = write(tmp_path / "file", [content])
    assert (tmp_path / "file").read_bytes() == content.numpy().tobytes()
    assert checksum_of(tmp_path / "file") == written


def test_a_disk_that_takes_no_more_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: 100)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "file", [some_bytes(ALIGNED)])


def test_a_file_that_gets_shorter_while_it_is_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"1234")
    monkeypatch.setattr(os, "preadv", lambda *_: 0)
    with pytest.raises(OSError, match="read stopped at byte 0 of 4"):
        checksum_of(tmp_path / "file")


def test_every_changed_byte_is_another_checksum(tmp_path: Path) -> None:
    path = tmp_path / "file"
    before = write(path, [some_bytes(1000)])
    for bit in range(1000):
        content = bytearray(path.read_bytes())
        content[bit] ^= 1 << bit % 8
        path.write_bytes(content)
        assert checksum_of(path) != before
        content[bit] ^= 1 << bit % 8
        path.write_bytes(content)


def test_whoever_only_looks_at_checkpoints_loads_no_torch() -> None:
    code = "import sys, components.pretraining.shared_prefix; print({'torch', 'safetensors'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_any_other_error_is_raised(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        checksum_of(tmp_path / "file")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        write(tmp_path / "file" / "below", [])
