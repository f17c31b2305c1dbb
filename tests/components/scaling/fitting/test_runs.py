"""Tables of runs: any columns, any order, nothing unusable."""

from pathlib import Path

import pytest

from components.errors import ConfigError, SourceError
from components.scaling.fitting.runs import parse_columns, read_runs

COLUMNS = {"n": "params", "c": "FLOPs", "loss": "loss"}


def write(path: Path, text: str) -> Path:
    (path / "runs.csv").write_bytes(text.encode())
    return path / "runs.csv"


def test_columns_are_named_by_what_they_hold() -> None:
    assert parse_columns("n=Model Size, c = Training FLOP,loss=loss") == {"n": "Model Size", "c": "Training FLOP", "loss": "loss"}


@pytest.mark.parametrize("text", ["n", "n=", "size=params,loss=l", "n=a,n=b,loss=l", "", "n=a,,loss=l"])
def test_a_mapping_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--columns has .*; allowed: NAME=COLUMN"):
        parse_columns(text)


def test_a_mapping_without_a_loss_is_refused() -> None:
    with pytest.raises(ConfigError, match="it must name the loss too"):
        parse_columns("n=a,d=b")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_other_columns_and_blank_lines_do_not_matter(separator: str, tmp_path: Path) -> None:
    text = '\ufeffname,loss, params ,FLOPs\nx,3.5,1e6,1e15\n\n"a b",2.5,2e6,4e15\n'.replace(",", separator)
    runs = read_runs(write(tmp_path, text), COLUMNS)
    assert {name: values.tolist() for name, values in runs.values.items()} == {
        "n": [1e6, 2e6],
        "c": [1e15, 4e15],
        "loss": [3.5, 2.5],
    }
    assert runs.rows == (2, 4)
    assert runs.excluded == ()


def test_empty_cells_and_repetitions_are_left_out_with_the_reason(tmp_path: Path) -> None:
    runs = read_runs(write(tmp_path, "params,FLOPs,loss\n1,2,3\n4,5,\n1,2,3.0\n1,2,4\n"), COLUMNS)
    assert len(runs) == 2
    assert [(entry.row, entry.reason) for entry in runs.excluded] == [(3, "no value for loss"), (4, "repeats line 2")]


@pytest.mark.parametrize("cell", ["nan", "NaN", "-3.1", "0", "inf", "diverged"])
def test_a_value_that_is_no_positive_number_is_refused_with_its_place(cell: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"runs\.csv, line 3, loss is '{cell}'; allowed: a positive finite number"):
        read_runs(write(tmp_path, f"params,FLOPs,loss\n1,2,3\n4,5,{cell}\n"), COLUMNS)


def test_a_column_that_is_not_there_is_named_beside_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no column FLOPs; it has: params, loss"):
        read_runs(write(tmp_path, "params,loss\n1,2\n"), COLUMNS)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent\.csv: cannot be read"):
        read_runs(tmp_path / "absent.csv", COLUMNS)


def test_the_order_of_the_rows_changes_nothing(tmp_path: Path) -> None:
    rows = ["1,2,3", "4,5,6", "7,8,9"]
    tables = [read_runs(write(tmp_path, "\n".join(["params,FLOPs,loss", *order])), COLUMNS) for order in (rows, rows[::-1])]
    assert tables[0].values["n"].tolist() == tables[1].values["n"].tolist()
