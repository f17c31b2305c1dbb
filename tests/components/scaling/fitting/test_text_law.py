"""From a ladder in several vocabularies to the law of a text: known laws come back, and what is shared predicts better."""

from pathlib import Path

import numpy as np
import pytest

from components.errors import FitRefused
from components.scaling.config import FitConfig
from components.scaling.fitting.parametric import fit_parametric
from components.scaling.fitting.text_law import fit_text
from components.scaling.laws.files import write_law
from components.scaling.laws.law import LossLaw
from components.scaling.laws.published import LAWS
from components.scaling.laws.text_law import SCALE, TextLaw
from components.scaling.sweeps.table import read_table, write_table
from tests.components.scaling.ladder_truth import rows
from tests.components.scaling.text_truth import SMALL, TRUTHS, columns, tables

CONFIG = FitConfig(scale=SCALE, rounds=100)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fitted law with batch and rate of a grid."""
    directory = tmp_path_factory.mktemp("text")
    for name in ("grid", "law"):
        (directory / name).mkdir()
    write_law(LAWS["deepseek"], directory / "grid" / "law.json")
    fit_text(
        CONFIG,
        name="mine",
        ladder=SMALL,
        runs=tables(directory / "runs"),
        output=directory / "law",
        bases={"grid": directory / "grid"},
    )
    return directory / "law"


def test_the_laws_of_all_vocabularies_come_back_from_one_joint_fit(tmp_path: Path) -> None:
    figures = fit_text(CONFIG, name="mine", ladder=SMALL, runs=tables(tmp_path, noise=0.0), output=tmp_path)
    law = TextLaw.read(tmp_path)
    for vocabulary in law.vocabularies:
        truth = TRUTHS[vocabulary.vocab_size]
        assert vocabulary.law.loss is not None
        for name in ("E", "A", "B", "alpha", "beta"):
            assert getattr(vocabulary.law.loss, name) == pytest.approx(getattr(truth, name), rel=0.02), name
    assert {"E", "alpha", "beta", "A 512", "B 2048"} <= figures["joint"].keys()
    assert figures["runs"] == 3 * len(SMALL.points())


def test_the_law_says_what_it_was_fitted_on_and_takes_batch_and_rate_from_the_grid(fitted: Path) -> None:
    law = TextLaw.read(fitted)
    assert [(each.vocab_size, each.bytes_per_token) for each in law.vocabularies] == [(512, 2.0), (1024, 2.5), (2048, 3.0)]
    assert law.aspect == (16.0, 48.0)
    assert law.sequence_length == SMALL.family.sequence_length
    assert (law.batch_tokens, law.learning_rate) == (LAWS["deepseek"].batch_tokens, LAWS["deepseek"].learning_rate)
    assert all(len(each.law.runs) == len(SMALL.points()) for each in law.vocabularies)
    losses = [each.law.loss for each in law.vocabularies]
    assert len({(loss.E, loss.alpha, loss.beta) for loss in losses if loss}) == 1


def test_every_training_is_kept_beside_the_law_with_its_vocabulary(fitted: Path) -> None:
    kept = read_table(fitted / "runs.csv")
    assert len(kept) == 3 * len(SMALL.points())
    assert {row["vocab_size"] for row in kept} == {"512", "1024", "2048"}
    names = {path.name for path in fitted.iterdir()}
    assert {"text-law.json", "fit.json", "report.html", "vocabularies.png", "predicted.png", "isoflop-512.png"} <= names


def test_the_order_of_the_vocabularies_does_not_change_a_byte(fitted: Path, tmp_path: Path) -> None:
    runs = tables(tmp_path / "runs")
    reordered = {size: runs[size] for size in reversed(runs)}
    output = tmp_path / "law"
    output.mkdir()
    fit_text(CONFIG, name="mine", ladder=SMALL, runs=reordered, output=output)
    ours, theirs = TextLaw.read(output), TextLaw.read(fitted)
    assert ours.vocabularies == theirs.vocabularies
    assert (output / "runs.csv").read_bytes() == (fitted / "runs.csv").read_bytes()


def test_too_few_trainings_are_refused(tmp_path: Path) -> None:
    runs = tables(tmp_path)
    for directory in runs.values():
        write_table(rows(SMALL)[:3], directory / "runs.csv")
    with pytest.raises(FitRefused, match="9 runs; 9 coefficients need at least 12"):
        fit_text(CONFIG, name="mine", ladder=SMALL, runs=runs, output=tmp_path)


def extrapolation_errors(truths: dict[int, LossLaw], draws: int) -> tuple[float, float]:
    """Median relative error at eight times the largest budget, of the joint fit and of a fit to each vocabulary alone."""
    together, alone = [], []
    for seed in range(draws):
        n, d, loss, group = columns(truths, seed)
        joint = fit_parametric(n, d, loss, rounds=100, seed=0, leave_out=0, group=group)
        for size, truth in truths.items():
            own = group == size
            single = fit_parametric(n[own], d[own], loss[own], rounds=100, seed=0, leave_out=0)
            scale, tokens = 4e6, 8e6
            actual = truth.at(scale, tokens)
            together.append(abs(joint.losses[float(size)].at(scale, tokens) / actual - 1))
            alone.append(abs(single.loss.at(scale, tokens) / actual - 1))
    return float(np.median(together)), float(np.median(alone))


def test_sharing_the_limit_and_the_exponents_predicts_better_beyond_the_ladder() -> None:
    together, alone = extrapolation_errors(TRUTHS, draws=3)
    assert together < alone
