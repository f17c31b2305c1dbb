"""Splits: their names are spelled out in one place, and a corpus says in which one each group is."""

import ast
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import SPLITS, GroupSplits
from components.errors import DamagedArtifact, MissingArtifact
from tests.paths import MODULES, ROOT

ELSEWHERE = {
    "components/artifacts/splits.py": "here they are defined",
    "components/training/loop.py": "the phase of a training in which it validates",
    "components/training/meters.py": "the same",
    "components/run_report/charts.py": "the names of the series of validation",
}
OURS = [path for path in MODULES if path.parts[0] == "components" and str(path) not in ELSEWHERE]


def spelled_out(tree: ast.AST) -> set[object]:
    """The names of splits that a module writes as literals of its own."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in SPLITS}


def test_no_other_module_spells_them_out() -> None:
    trees = {str(path): ast.parse((ROOT / path).read_text(encoding="utf-8")) for path in OURS}
    assert {path for path, tree in trees.items() if spelled_out(tree)} == set()


@pytest.mark.parametrize("text", ['for split in ("train", "validation"): ...', 'reader.domains("train")'])
def test_a_name_that_is_spelled_out_is_found(text: str) -> None:
    assert spelled_out(ast.parse(text))


def test_what_artifacts_hold_already_keeps_its_names() -> None:
    assert SPLITS == ("train", "validation")


def groups(directory: Path, **columns: list[object]) -> Path:
    """A table as curation writes it, with another column beside."""
    pq.write_table(pa.table(columns), directory / GroupSplits.NAME)
    return directory


def test_the_split_of_each_group_is_read(tmp_path: Path) -> None:
    groups(tmp_path, group=["a", "错"], source=["s", "s"], split=["train", "validation"])
    assert GroupSplits.read(tmp_path).splits == {"a": "train", "错": "validation"}


def test_a_corpus_without_groups_is_missing_and_one_with_other_bytes_or_splits_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"groups\.parquet: missing; written by the step curation"):
        GroupSplits.read(tmp_path)
    (tmp_path / GroupSplits.NAME).write_bytes(b"no table")
    with pytest.raises(DamagedArtifact, match=r"groups\.parquet"):
        GroupSplits.read(tmp_path)
    with pytest.raises(DamagedArtifact, match=r"groups\.parquet"):
        GroupSplits.read(groups(tmp_path, group=["a"]))
    with pytest.raises(DamagedArtifact, match=r"unknown split 'test'; allowed: train, validation"):
        GroupSplits.read(groups(tmp_path, group=["a"], split=["test"]))
