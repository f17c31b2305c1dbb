"""The state in fragments: cut anywhere, read anywhere."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from components.errors import CheckpointError
from components.training.checkpoints import direct_files
from components.training.checkpoints.state import KINDS, Columns, Fragment, SavedState, Snapshot, State

WHOLE = torch.arange(20.0)


def write(directory: Path, cuts: list[int]) -> list[Path]:
    """A parameter of 20 elements, cut before each of `cuts`, one file a part."""
    paths = []
    for rank, (start, end) in enumerate(zip([0, *cuts], [*cuts, 20], strict=True)):
        fragment = Fragment("a/b", start, dict.fromkeys(KINDS, WHOLE[start:end]))
        snapshot = Snapshot()
        snapshot.take(State([fragment], 7, {"cpu": torch.tensor([rank], dtype=torch.uint8)}))
        paths.append(directory / f"rank-{rank:05d}.safetensors")
        snapshot.write(paths[-1])
    return paths


CUTS = st.lists(st.integers(1, 19), max_size=4, unique=True).map(sorted)


@given(cuts=CUTS, start=st.integers(0, 19), length=st.integers(0, 20))
def test_any_elements_are_read_whatever_the_cuts(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], start: int, length: int
) -> None:
    saved = SavedState(write(tmp_path_factory.mktemp("state"), cuts))
    saved.require_whole({"a/b": 20})
    length = min(length, 20 - start)
    assert torch.equal(saved.read("weight", "a/b", start, length), WHOLE[start : start + length])


MATRIX = WHOLE.view(4, 5)


def write_columns(directory: Path, ends: list[int], *, cut: int = 3) -> list[Path]:
    """A matrix of 4 by 5, one file for each group of columns and for what lies before and after its element `cut`."""
    paths = []
    for first, end in zip([0, *ends], [*ends, 5], strict=True):
        block = MATRIX[:, first:end].flatten()
        for start, last in ((0, cut), (cut, len(block))):
            fragment = Fragment("down", start, dict.fromkeys(KINDS, block[start:last].clone()), Columns(first, end, 5))
            snapshot = Snapshot()
            snapshot.take(State([fragment], 1, {}))
            paths.append(directory / f"rank-{len(paths):05d}.safetensors")
            snapshot.write(paths[-1])
    return paths


@given(ends=st.lists(st.integers(1, 4), max_size=4, unique=True).map(sorted), first=st.integers(0, 4), start=st.integers(0, 3))
def test_columns_saved_by_any_parts_are_read_whole_or_by_any_others(
    tmp_path_factory: pytest.TempPathFactory, ends: list[int], first: int, start: int
) -> None:
    saved = SavedState(write_columns(tmp_path_factory.mktemp("state"), ends))
    saved.require_whole({"down": 20})
    assert torch.equal(saved.read("weight", "down", 7, 9), WHOLE[7:16])
    wanted = MATRIX[:, first:].flatten()[start:]
    assert torch.equal(saved.read("weight", "down", start, len(wanted), Columns(first, 5, 5)), wanted)


def test_what_was_saved_whole_is_read_by_columns(tmp_path: Path) -> None:
    saved = SavedState(write(tmp_path, [7]))
    assert torch.equal(saved.read("weight", "a/b", 1, 3, Columns(2, 4, 5)), MATRIX[:, 2:4].flatten()[1:4])


def test_missing_columns_and_rows_of_columns_are_found(tmp_path: Path) -> None:
    paths = write_columns(tmp_path, [2])
    for missing in (paths[:2], paths[2:], paths[:3], [paths[0], *paths[2:]]):
        with pytest.raises(CheckpointError, match=r"weight of down: .* of 20 elements were saved"):
            SavedState(missing).require_whole({"down": 20})


def test_elements_that_were_saved_twice_are_found(tmp_path: Path) -> None:
    (path,) = write(tmp_path, [])
    with pytest.raises(CheckpointError, match="of 20 elements were saved"):
        SavedState([path, path]).require_whole({"a/b": 20})


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    first, _, third = write(tmp_path, [5, 10])
    saved = SavedState([first, third])
    with pytest.raises(CheckpointError, match="weight of a/b: 5 of 20 elements were saved"):
        saved.require_whole({"a/b": 20})
    with pytest.raises(CheckpointError, match="first_moment of a/b: 3 of 8 elements from 2 on were saved"):
        saved.read("first_moment", "a/b", 2, 8)


def test_a_parameter_of_another_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="a/b is not a parameter of this model"):
        SavedState(write(tmp_path, [])).require_whole({"c": 20})


def test_each_worker_gets_its_own_generators_and_a_further_one_those_of_the_first(tmp_path: Path) -> None:
    saved = SavedState(write(tmp_path, [10]))
    assert [int(saved.random(rank)["cpu"]) for rank in (0, 1, 2)] == [0, 1, 0]
    assert saved.updates == 7


def test_a_file_cut_short_is_refused_by_its_name(tmp_path: Path) -> None:
    (path,) = write(tmp_path, [])
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match=r"rank-00000\.safetensors cannot be read"):
        SavedState([path])


def test_a_snapshot_keeps_its_room(tmp_path: Path) -> None:
    snapshot, values = Snapshot(), torch.zeros(4)
    for value in (1.0, 2.0):
        snapshot.take(State([Fragment("a", 0, dict.fromkeys(KINDS, values.fill_(value)))], 1, {}))
        values.fill_(-1)
        snapshot.write(tmp_path / "file")
        assert SavedState([tmp_path / "file"]).read("weight", "a", 0, 4).tolist() == [value] * 4


def test_a_file_is_byte_for_byte_what_safetensors_writes(tmp_path: Path) -> None:
    snapshot = Snapshot()
    tensors = {kind: torch.arange(5.0) for kind in KINDS}
    fragments = [Fragment("ä.weight", 3, tensors), Fragment("b", 0, tensors, Columns(2, 4, 8)), Fragment("a", 0, tensors)]
    snapshot.take(State(fragments, 7, {"cpu": torch.arange(11, dtype=torch.uint8)}))
    snapshot.write(tmp_path / "ours")
    with safe_open(tmp_path / "ours", framework="pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
        metadata = stored.metadata()
    assert len(tensors) == 10
    save_file(tensors, tmp_path / "theirs", metadata=metadata)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_file_that_reads_otherwise_than_it_was_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = Snapshot()
    snapshot.take(State([Fragment("a", 0, {kind: torch.zeros(4) for kind in KINDS})], 1, {}))
    real = direct_files.checksum_of

    def flipped(path: Path) -> str:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        return real(path)

    monkeypatch.setattr(direct_files, "checksum_of", flipped)
    with pytest.raises(OSError, match="the content read back differs"):
        snapshot.write(tmp_path / "file")
