"""A series has each step once, whatever was killed, repeated or truncated."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.series import Series, SeriesWriter, downsampled

WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from components.series import SeriesWriter
writer = SeriesWriter(Path(sys.argv[1]))
for step in range(1, 10**9):
    writer.append(step, {"loss": 1 / step})
    if step == 500:
        print("written", flush=True)
"""


def written(path: Path, *rows: tuple[int, dict[str, float]]) -> Path:
    """A file with these rows."""
    writer = SeriesWriter(path)
    for step, values in rows:
        writer.append(step, values)
    return path


def lines(path: Path) -> list[dict[str, float]]:
    """The lines of the file, none of which may be damaged."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_figures_are_read_back_by_step_and_one_that_a_step_lacks_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path / "new" / "sft.jsonl", (1, {"loss": 2.5}), (2, {"loss": 2.0, "bits": 1.5}), (3, {"loss": 1.0}))
    series = Series.read(path)
    assert list(series.steps) == [1, 2, 3]
    assert series.points("loss") == [(1, 2.5), (2, 2.0), (3, 1.0)]
    assert series.points("bits") == [(2, 1.5)]
    assert (series.last("bits"), series.last("unknown"), series.points("unknown")) == (1.5, None, [])
    assert {len(column) for column in series.columns.values()} == {3}


def test_a_series_that_was_not_begun_has_no_steps(tmp_path: Path) -> None:
    assert (len(Series.read(tmp_path / "none.jsonl").steps), Series.read(tmp_path / "none.jsonl").columns) == (0, {})


def test_a_value_that_is_not_finite_is_left_out_so_that_every_line_is_json(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", (1, {"loss": math.nan, "gradient_norm": math.inf, "not_finite": 1.0}))
    assert lines(path) == [{"step": 1, "not_finite": 1.0}]


def test_a_row_of_the_training_loop_which_repeats_its_step_is_read_back(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", *((step, {"step": step, "loss": 1 / step}) for step in (1, 2)))
    assert lines(path) == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}]
    assert list(Series.read(path).steps) == [1, 2]


def test_a_truncated_last_line_is_dropped_by_a_reader_and_replaced_by_the_next_writer(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", (1, {"loss": 3.0}), (2, {"loss": 2.0}))
    with path.open("ab") as stream:
        stream.write(b'{"step": 3, "lo')
    assert Series.read(path).points("loss") == [(1, 3.0), (2, 2.0)]
    written(path, (3, {"loss": 1.0}))
    assert [row["step"] for row in lines(path)] == [1, 2, 3]


def test_after_a_resume_equal_rows_are_ignored_and_repeated_steps_replace_the_lost_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    writer = SeriesWriter(path)
    for step in range(1, 6):
        writer.append(step, {"loss": 1 / step, "tokens_per_second": 100.0})
    # The checkpoint has steps 1 to 3, without speeds, and another number of workers repeats steps 4 and 5
    assert [writer.append(step, {"loss": 1 / step}) for step in range(1, 4)] == [{}, {}, {}]
    assert writer.append(4, {"loss": 0.24, "tokens_per_second": 50.0}) == {"loss": 0.24, "tokens_per_second": 50.0}
    assert [row["step"] for row in lines(path)] == [1, 2, 3, 4]
    writer.append(5, {"loss": 0.19, "tokens_per_second": 50.0})
    series = Series.read(path)
    assert series.points("loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.24), (5, 0.19)]
    assert [value for _, value in series.points("tokens_per_second")] == [100.0, 100.0, 100.0, 50.0, 50.0]


def test_figures_that_come_later_for_the_last_step_join_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", (1, {"loss": 3.0}), (2, {"loss": 2.0}), (2, {"resumed_from": 2.0}))
    assert lines(path) == [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0, "resumed_from": 2.0}]


def test_a_writer_that_is_killed_leaves_whole_lines_and_the_next_one_repeats_no_step(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITE_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    done = len(Series.read(path).steps)
    assert done >= 500
    written(path, *((step, {"loss": 1 / step}) for step in range(1, done + 11)))
    assert [row["step"] for row in lines(path)] == list(range(1, done + 11))


def test_a_reader_keeps_each_step_once_even_if_a_file_has_it_twice_and_skips_a_damaged_line() -> None:
    series = Series.parse(b'{"step": 1, "loss": 3}\n{"step": 2, "loss": 2}\nnonsense\n[1]\n{"step": 2, "loss": 1, "spike": 1}\n')
    assert (list(series.steps), series.points("loss"), series.points("spike")) == ([1, 2], [(1, 3.0), (2, 1.0)], [(2, 1.0)])


def test_a_family_is_a_figure_and_its_kinds() -> None:
    series = Series.parse(b'{"step": 1, "loss": 3, "loss/code": 2, "loss_scale": 1}\n')
    assert series.family("loss") == ["loss", "loss/code"]


@pytest.mark.parametrize("buckets", [1, 7, 100])
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400))
def test_downsampling_keeps_order_and_the_extremes(buckets: int, values: list[float]) -> None:
    points = list(enumerate(values, start=1))
    chosen = downsampled(points, buckets)
    assert len(chosen) <= max(2 * buckets, 1)
    assert chosen == sorted(set(chosen) & set(points))
    assert (min(v for _, v in chosen), max(v for _, v in chosen)) == (min(values), max(values))


def test_each_bucket_keeps_its_own_extremes() -> None:
    points = [(step, float(step % 50)) for step in range(1, 1001)]
    chosen = downsampled(points, 10)
    assert len(chosen) == 20
    assert [value for _, value in chosen if value in (0.0, 49.0)] == [value for _, value in chosen]
