"""The plan beyond a ladder: the ladder's target, with the prediction of its law beside it."""

import dataclasses
import json
from pathlib import Path

import pytest

from components.errors import FitRefused
from components.scaling.laws.files import read_law, write_law
from components.scaling.laws.law import Law, allocation
from components.scaling.planning.plan import read_plan
from components.scaling.sweeps.extrapolation import plan_beyond
from components.scaling.sweeps.table import FIGURE, SCALE
from tests.components.scaling.ladder_truth import LADDER, TRUTH, expected

MODEL, TOKENS = allocation(TRUTH, 1.0)
LAW = Law(name="small", source="", data="", model=MODEL, tokens=TOKENS, scale=SCALE, loss=TRUTH, figure=FIGURE)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / name for name in ("law", "tokenizer", "token_shards", "output")}
    for path in paths.values():
        path.mkdir()
    write_law(LAW, paths["law"] / "law.json")
    (paths["tokenizer"] / "special_tokens.json").write_text(json.dumps({"vocab_size": LADDER.family.vocab_size}))
    index = {"splits": {"train": {"code": {"tokens": 10**12}}}}
    (paths["token_shards"] / "index.json").write_text(json.dumps(index))
    (paths["token_shards"] / "mixture.json").write_text(json.dumps({"shares": {"code": 1.0}, "epoch_limits": {"code": 4.0}}))
    return paths


def test_the_target_is_planned_with_what_the_law_predicts_for_it(inputs: dict[str, Path]) -> None:
    figures = plan_beyond(LADDER, **inputs)
    plan = read_plan(inputs["output"])
    assert plan.compute == pytest.approx(8 * LADDER.rungs[-1].compute, rel=0.01)
    assert plan.prediction is not None
    assert plan.prediction["loss"] == pytest.approx(expected(plan))
    assert figures["prediction"]["figure"] == plan.predicted_figure == FIGURE
    assert read_law(inputs["output"] / "law.json") == LAW


def test_a_law_that_predicts_no_loss_is_refused(inputs: dict[str, Path]) -> None:
    write_law(dataclasses.replace(LAW, loss=None), inputs["law"] / "law.json")
    with pytest.raises(FitRefused, match="the law small predicts nothing: its parametric fit was refused"):
        plan_beyond(LADDER, **inputs)
    assert list(inputs["output"].iterdir()) == []
