"""The plan for a time as text, as JSON, and as a command that runs it."""

import json
import shlex

from components.scaling.planning.timed import Limits, timed
from tests.components.scaling.planning.test_rates import fit
from tests.components.scaling.text_truth import LAW
from workflows.commands.timed.stage_times import StageTime
from workflows.commands.timed.timed_answer import TimedAnswer, duration, run_command
from workflows.recipe import load_recipe

LIMITS = Limits(seconds=60.0, text_bytes=5e6)
RATES = fit()
PLAN = timed(LAW, RATES, LIMITS)
ANSWER = TimedAnswer(
    plan=PLAN,
    law=LAW,
    limits=LIMITS,
    where="one processor",
    rates=RATES,
    recipe="tiny",
    stages=(
        StageTime(stage="curation", seconds=90.0, reason="measured"),
        StageTime(stage="pretraining", seconds=60.0, reason="planned"),
        StageTime(stage="evaluation", seconds=None, reason="no run in this home has made it"),
    ),
)


def test_a_reader_is_told_the_training_its_end_what_limits_it_and_how_to_run_it() -> None:
    text = "\n".join(ANSWER.lines())
    for words in (
        "mine, of a text",
        "on one processor",
        f"vocabulary                                {PLAN.shape.vocab_size}",
        f"{PLAN.epochs:.2f} epochs of 5,000,000 bytes",
        "2 models that were measured for comparison differ by at most",
        f"{PLAN.bits_per_byte.loss:.3f}, 95 % of such training runs between",
        "limited by time",
        "a tenth more brings",
        "2.5 min without evaluation",
        "unknown     no run in this home has made it",
        "run it: longrun run tiny --set tokenizer.regular_tokens=",
    ):
        assert words in text


def test_json_has_everything() -> None:
    said = json.loads(json.dumps(ANSWER.as_json()))
    assert said["shape"]["d_model"] == PLAN.shape.d_model
    assert said["bits_per_byte"]["loss"] == PLAN.bits_per_byte.loss
    assert said["rates"]["error"] == RATES.error
    assert said["rates"]["machine"]["processor"] == "one"
    assert [stage["stage"] for stage in said["stages"]] == ["curation", "pretraining", "evaluation"]
    assert said["command"] == run_command(PLAN, "tiny")


def test_the_command_makes_a_recipe_that_trains_what_was_planned() -> None:
    words = shlex.split(run_command(PLAN, "tiny"))
    assert words[:3] == ["longrun", "run", "tiny"]
    recipe = load_recipe(words[2], words[4::2])
    assert set(words[3::2]) == {"--set"}
    assert recipe.pretraining.shape == PLAN.shape
    assert recipe.tokenizer.vocab_size == PLAN.shape.vocab_size
    assert (recipe.pretraining.tokens, recipe.pretraining.batch_size) == (PLAN.tokens, PLAN.batch_size)


def test_a_time_is_said_in_the_unit_that_a_reader_would_choose() -> None:
    assert [duration(seconds) for seconds in (42, 450, 7200, 4e6)] == ["42 s", "7.5 min", "2.0 h", "1,111.1 h"]
