"""The history of a training as a table."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.training.history import write_history


def test_figures_that_a_step_does_not_have_are_null_and_columns_have_a_fixed_order(tmp_path: Path) -> None:
    history = [
        {"step": 1, "learning_rate": 0.1, "tokens": 8},
        {"step": 2, "loss": 2.0, "learning_rate": 0.1, "gradient_norm": 1.0, "tokens": 16, "b": 1.0, "a": 2.0},
    ]
    write_history(history, tmp_path / "metrics" / "training.parquet", {"tokens/code": np.array([8, 16])})
    table = pq.read_table(tmp_path / "metrics" / "training.parquet")
    assert table.column_names == ["step", "loss", "learning_rate", "gradient_norm", "tokens", "a", "b", "tokens/code"]
    assert table["loss"].to_pylist() == [None, 2.0]
    assert table["a"].to_pylist() == [None, 2.0]
    assert table.schema.field("tokens/code").type == pa.int64()
