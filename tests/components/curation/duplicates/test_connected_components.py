"""Connected components are the same whether one or many workers find them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components import interim
from components.curation import tables
from components.curation.duplicates.connected_components import connected, label_components
from components.ports import InProcessShardEngine

Pairs = list[tuple[int, int]]


def edges(path: Path, pairs: Pairs) -> Path:
    empty = tables.EDGES.empty_table()
    columns = {name: pa.nulls(len(pairs), empty.schema.field(name).type) for name in empty.column_names}
    columns["left_document"] = pa.array([first for first, _ in pairs], pa.int64())
    columns["right_document"] = pa.array([second for _, second in pairs], pa.int64())
    interim.write(path, pa.table(columns, schema=tables.EDGES))
    return path


def labels(files: list[Path], scratch: Path, memory: int) -> dict[int, int]:
    labelled = label_components(files, scratch, InProcessShardEngine(), memory=memory)
    rows = [row for path in labelled for row in interim.read(path).to_pylist()]
    assert len({row["node"] for row in rows}) == len(rows)
    return {row["node"]: row["component"] for row in rows}


def walked(pairs: Pairs, count: int = 31) -> list[int]:
    label = list(range(count))
    for _ in range(count):
        for first, second in pairs:
            label[first] = label[second] = min(label[first], label[second])
    return label


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_connected_components_are_those_of_a_walk(pairs: Pairs) -> None:
    assert connected(np.array(pairs, dtype=np.int64).reshape(-1, 2), 31).tolist() == walked(pairs)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(lambda p: p[0] != p[1]), min_size=2, max_size=25))
def test_partitions_find_the_components_of_a_walk(tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> None:
    directory = tmp_path_factory.mktemp("graph")
    half = len(pairs) // 2
    files = [edges(directory / "a.edges", pairs[:half]), edges(directory / "b.edges", pairs[half:])]
    expected = {node: root for node, root in enumerate(walked(pairs)) if node != root}
    assert labels(files, directory / "many", memory=200) == labels(files, directory / "one", memory=10**6) == expected


def test_a_long_chain_is_one_component_over_many_partitions(tmp_path: Path) -> None:
    chain = edges(tmp_path / "a.edges", [(i, i + 1) for i in range(300)])
    assert labels([chain], tmp_path / "many", memory=6400) == dict.fromkeys(range(1, 301), 0)
