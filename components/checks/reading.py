"""Reads what checks look at: metrics tables and JSON files of an artifact."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import DamagedArtifact

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def metrics_table(artifact: Path, name: str, required: Sequence[str]) -> "pd.DataFrame":
    """Those columns of `metrics/NAME.parquet`; others, such as the URI of every document, are not read.

    Raises what `arrow_table` raises.
    """
    return _read(artifact, name, required, list(required)).to_pandas()


def arrow_table(artifact: Path, name: str, required: Sequence[str]) -> "pa.Table":
    """The table with all its columns, where a null must be told from a NaN.

    Raises:
        DamagedArtifact: there is no such table, it is no Parquet file, or it lacks a column.
    """
    return _read(artifact, name, required, None)


def _read(artifact: Path, name: str, required: Sequence[str], columns: list[str] | None) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = artifact / "metrics" / f"{name}.parquet"
    try:
        # One file, so no columns are inferred from the names of its directories.
        with pq.ParquetFile(path) as opened:
            found = opened.schema_arrow.names
            if lacking := sorted(set(required) - set(found)):
                raise DamagedArtifact(f"{path}: no column {', '.join(lacking)}; it has {', '.join(found)}")
            return opened.read(columns)
    except FileNotFoundError as error:
        raise DamagedArtifact(f"{path}: missing; run the step that writes it again") from error
    except pa.ArrowInvalid as error:
        raise DamagedArtifact(f"{path}: not a Parquet file ({error}); run the step that writes it again") from error


def json_file(artifact: Path, name: str) -> dict[str, Any]:
    """A JSON object of the artifact. Raises `DamagedArtifact` if it is missing or something else."""
    path = artifact / name
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DamagedArtifact(f"{path}: missing; run the step that writes it again") from error
    except ValueError as error:
        raise DamagedArtifact(f"{path}: not JSON ({error}); run the step that writes it again") from error
    if not isinstance(value, dict):
        raise DamagedArtifact(f"{path}: not a JSON object; run the step that writes it again")
    return value
