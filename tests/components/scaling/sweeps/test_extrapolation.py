"""The plan beyond a ladder: the ladder's target, with the prediction of its law beside it."""

import dataclasses
from pathlib import Path

import pytest

from components.artifacts import Mixture, Plan
from components.errors import ConfigError, FitRefused
from components.scaling.laws.law import Law, allocation
from components.scaling.laws.text_law import FIGURE, SCALE
from components.scaling.sweeps.extrapolation import plan_beyond
from components.tokenizer import special_tokens
from tests.components.artifacts.samples import domain_tokens, index_of
from tests.components.scaling.ladder_truth import LADDER, TRUTH, expected
from tests.components.scaling.text_truth import LAW as TEXT_LAW
from tests.components.scaling.text_truth import vocabulary

MODEL, TOKENS = allocation(TRUTH, 1.0)
LAW = Law(name="small", source="", data="", model=MODEL, tokens=TOKENS, scale=SCALE, loss=TRUTH, figure=FIGURE)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / name for name in ("law", "tokenizer", "token_shards", "output")}
    for path in paths.values():
        path.mkdir()
    LAW.write(paths["law"])
    special_tokens.after(500, LADDER.family.vocab_size).write(paths["tokenizer"])
    index_of({"code": domain_tokens(10**12)}).write(paths["token_shards"])
    Mixture(shares={"code": 1.0}, epoch_limits={"code": 4.0}).write(paths["token_shards"])
    return paths


def test_the_target_is_planned_with_what_the_law_predicts_for_it(inputs: dict[str, Path]) -> None:
    figures = plan_beyond(LADDER, **inputs)
    plan = Plan.read(inputs["output"])
    assert plan.compute == pytest.approx(8 * LADDER.rungs[-1].compute, rel=0.01)
    assert plan.prediction is not None
    assert plan.prediction.loss == pytest.approx(expected(plan))
    assert figures["prediction"]["figure"] == plan.predicted_figure == FIGURE
    assert Law.read(inputs["output"]) == LAW


def test_a_law_that_predicts_no_loss_is_refused(inputs: dict[str, Path]) -> None:
    dataclasses.replace(LAW, loss=None).write(inputs["law"])
    with pytest.raises(FitRefused, match="the law small predicts nothing: its parametric fit was refused"):
        plan_beyond(LADDER, **inputs)
    assert list(inputs["output"].iterdir()) == []


def test_the_law_of_a_text_predicts_by_the_ladders_vocabulary_and_gives_batch_and_rate(inputs: dict[str, Path]) -> None:
    (inputs["law"] / "law.json").unlink()
    text = dataclasses.replace(TEXT_LAW, vocabularies=(vocabulary(512, TRUTH.A, TRUTH.B, 2.0),))
    text.write(inputs["law"])
    plan_beyond(LADDER, **inputs)
    plan = Plan.read(inputs["output"])
    assert plan.prediction is not None
    expected_loss = text.predict(plan.shape, plan.tokens, plan.sequence_length).loss
    assert plan.prediction.loss == pytest.approx(expected_loss)
    assert Law.read(inputs["output"]).batch_tokens == text.batch_tokens


def test_the_law_of_a_text_without_the_ladders_vocabulary_is_refused(inputs: dict[str, Path]) -> None:
    dataclasses.replace(TEXT_LAW, vocabularies=(vocabulary(1024, 60.0, 440.0, 2.0),)).write(inputs["law"])
    with pytest.raises(ConfigError, match="not fitted for a vocabulary of 512; allowed: 1024"):
        plan_beyond(LADDER, **inputs)
