"""The table of a sweep: the same bytes whatever came first."""

from pathlib import Path

import pytest

from components.artifacts import DomainTokens, Mixture, PointOutcome, TokenIndex
from components.scaling.fitting.runs import read_runs
from components.scaling.sweeps.table import (
    GRID_COLUMNS,
    LADDER_COLUMNS,
    bytes_per_token,
    read_table,
    row_of,
    tabulate,
    tabulate_points,
    write_table,
)
from tests.components.artifacts.samples import domain_tokens, index_of
from tests.components.scaling.ladder_truth import LADDER, outcome, rows


def test_the_order_of_completion_changes_nothing(tmp_path: Path) -> None:
    trainings = rows()
    write_table(trainings, tmp_path / "one.csv")
    write_table(trainings[::-1], tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_fits_read_it(tmp_path: Path) -> None:
    figures = tabulate(rows(), tmp_path)
    assert len(read_runs(tmp_path / "runs.csv", LADDER_COLUMNS)) == len(LADDER.points()) == figures["trainings"]
    assert set(read_runs(tmp_path / "runs.csv", GRID_COLUMNS).values) == {"c", "batch", "learning_rate", "loss"}


def test_a_training_that_broke_down_is_counted_and_left_out_of_fits(tmp_path: Path) -> None:
    trainings = [*rows()[1:], row_of(LADDER.points()[0], PointOutcome(trained=None, failure="step 3: loss nan"), 2.0)]
    assert tabulate(trainings, tmp_path)["broken"] == 1
    runs = read_runs(tmp_path / "runs.csv", LADDER_COLUMNS)
    assert len(runs) == len(trainings) - 1
    assert runs.excluded[0].reason == "no value for bits_per_byte"


def test_what_was_written_can_be_written_again_with_a_row_more(tmp_path: Path) -> None:
    trainings = rows()
    write_table(trainings[1:], tmp_path / "less.csv")
    write_table([trainings[0], *read_table(tmp_path / "less.csv")], tmp_path / "more.csv")
    write_table(trainings, tmp_path / "all.csv")
    assert (tmp_path / "more.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()


def test_the_outcome_of_each_training_is_read_where_it_lies(tmp_path: Path) -> None:
    trained = {f"{number:04d}": point for number, point in enumerate(LADDER.points()[:2])}
    outcomes = [PointOutcome(trained=outcome(trained["0000"].plan, 2.5)), PointOutcome(trained=None, failure="loss nan")]
    points = {name: tmp_path / name for name in trained}
    for directory, value in zip(points.values(), outcomes, strict=True):
        directory.mkdir()
        value.write(directory)
    index_of({"code": domain_tokens(100)}).write(tmp_path)
    Mixture(shares={"code": 1.0}, epoch_limits={"code": 4.0}).write(tmp_path)
    figures = tabulate_points(trained, points=points, token_shards=tmp_path, output=tmp_path)
    assert (figures["trainings"], figures["broken"], figures["least_bits_per_byte"]) == (2, 1, 2.5)
    assert sorted(row["failure"] for row in read_table(tmp_path / "runs.csv")) == ["", "loss nan"]


def test_bytes_per_token_is_the_mean_over_domains_by_their_shares_of_the_tokens() -> None:
    train = {
        name: DomainTokens(tokens=tokens, documents=1, bytes=size, shards=())
        for name, tokens, size in (("code", 100, 200), ("prose", 1000, 4000))
    }
    index = TokenIndex(dtype="uint16", vocab_size=512, splits={"train": train, "validation": {}})
    mixture = Mixture(shares={"code": 0.75, "prose": 0.25}, epoch_limits={"code": 1.0, "prose": 1.0})
    assert bytes_per_token(index, mixture) == pytest.approx(0.75 * 2 + 0.25 * 4)
