"""Files are decompressed by suffix and held in memory up to a limit; truncated files and bombs are refused."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from components.curation.reading import streams
from components.curation.reading.streams import chunks, lines, whole
from components.errors import SourceError

DATA = bytes(range(256)) * 40
PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [("", bytes), (".gz", gzip.compress), (".zst", zstandard.compress)]


@pytest.mark.parametrize(("suffix", "pack"), [*PACKED, (".GZ", gzip.compress)])
def test_a_file_is_decompressed_by_its_suffix(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(pack(DATA))
    assert b"".join(chunks(path)) == DATA


@pytest.mark.parametrize(("suffix", "pack"), PACKED[1:])
def test_frames_that_follow_one_another_are_one_file(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(pack(DATA) + pack(b"more"))
    assert b"".join(chunks(path)) == DATA + b"more"


@pytest.mark.parametrize(("suffix", "pack"), PACKED[1:])
def test_a_file_that_ends_inside_a_frame_raises(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(pack(DATA) + pack(DATA)[:-3])
    with pytest.raises(EOFError):
        list(chunks(path))


@pytest.mark.parametrize(("suffix", "pack"), PACKED[1:])
def test_expansion_is_refused_from_a_size_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(pack(bytes(2_000_000)))
    assert sum(map(len, chunks(path))) == 2_000_000
    monkeypatch.setattr(streams, "MIN_BOMB_BYTES", 1_000_000)
    with pytest.raises(SourceError, match=r"over 250 times as many; it may be a decompression bomb"):
        list(chunks(path))


@given(st.binary(max_size=60).map(lambda data: data.replace(b"\x00", b"\n")), st.integers(1, 7), st.integers(0, 9))
def test_lines_are_those_of_the_whole_however_it_is_divided(data: bytes, size: int, max_bytes: int) -> None:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    expected = data.split(b"\n")
    expected = expected if expected[-1] else expected[:-1]
    assert list(lines(iter(pieces), max_bytes)) == [line if len(line) <= max_bytes else None for line in expected]


def test_bytes_beyond_the_limit_are_not_read() -> None:
    data = iter([b"abc", b"de", b"f"])
    assert whole(data, 4) is None
    assert list(data) == [b"f"]
    assert whole(iter([b"abc", b"d"]), 4) == b"abcd"
