"""Small files are read whole; of large ones the first and last lines and some between, each with its position."""

import gzip
import json
import random
from pathlib import Path

import pytest
import zstandard

from components.errors import SourceError
from workflows.preflight.sampling import WHOLE_BYTES, sampled

LINE = "x" * 190


def written(path: Path, lines: int, bad: dict[int, str]) -> Path:
    path.write_text("".join(bad.get(number, json.dumps({"n": number, "text": LINE})) + "\n" for number in range(1, lines + 1)))
    return path


def test_a_small_file_is_its_own_sample(tmp_path: Path) -> None:
    path = written(tmp_path / "small.jsonl", 10, {})
    with sampled(str(path)) as sample:
        assert (sample.path, sample.whole, sample.where(3)) == (path, True, "line 3")


def test_of_a_large_file_whole_lines_from_everywhere_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "large.jsonl", 60_000, {2: "second", 60_000: "last"})
    assert path.stat().st_size > WHOLE_BYTES
    with sampled(str(path)) as sample:
        lines = sample.path.read_text().splitlines()
        positions = [sample.where(number) for number in range(1, len(lines) + 1)]
    assert not sample.whole
    assert lines[1] == "second"
    assert positions[1] == "line 2"
    assert lines[-1] == "last"
    whole = path.read_bytes()
    assert positions[-1] == f"the line at byte {len(whole) - 5}"
    numbers = [json.loads(line)["n"] for line in lines if line.startswith("{")]
    assert numbers == sorted(set(numbers))
    assert len([number for number in numbers if 10_000 < number < 50_000]) > 500
    for line, position in zip(lines, positions, strict=True):
        if position.startswith("the line at byte"):
            assert whole[int(position.rpartition(" ")[2]) :].startswith(line.encode() + b"\n")


def test_a_message_about_a_sample_names_the_file_and_the_position_in_it(tmp_path: Path) -> None:
    path = written(tmp_path / "large.jsonl", 60_000, {})
    with sampled(str(path)) as sample:
        count = len(sample.path.read_text().splitlines())
        message = sample.named(f"{sample.path}: line {count} is bad", "mine.jsonl")
    assert message == f"mine.jsonl: the line at byte {sample.offsets[-1]} is bad"


@pytest.mark.parametrize("name", ["large.jsonl.gz", "large.jsonl.zst"])
def test_of_a_large_compressed_file_the_first_lines_are_read(name: str, tmp_path: Path) -> None:
    draw = random.Random(0)
    rows = [json.dumps({"n": number, "noise": draw.randbytes(200).hex()}) for number in range(12_000)]
    plain = "\n".join(rows).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(plain) if name.endswith(".gz") else zstandard.compress(plain))
    with sampled(str(path)) as sample:
        lines = sample.path.read_text().splitlines()
    assert (sample.whole, lines[1], sample.where(2)) == (False, rows[1], "line 2")
    assert 1000 < len(lines) < 12_000
    assert lines == rows[: len(lines)]


def test_a_large_compressed_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.jsonl.gz"
    path.write_bytes(b"not gzip" * 200_000)
    with pytest.raises(SourceError, match=r"damaged.jsonl.gz: cannot be read to its end"), sampled(str(path)):
        pass
