"""The time of a recipe's stages comes from the runs of this home, scaled where that is honest."""

import dataclasses
from pathlib import Path

import pytest

from infra.settings import Settings
from tests.components.pretraining.conftest import PLAN, write_plan, write_token_shards
from tests.workflows.conftest import published
from workflows.commands.timed.stage_times import PastRun, StageTime, past_run, stage_times
from workflows.steps.journal import open_journal
from workflows.steps.stages import STAGES

SECONDS = {
    "curation": 100.0,
    "check_corpus": 2.0,
    "tokenizer": 10.0,
    "token_shards": 5.0,
    "scaling": 1.0,
    "pretraining": 80.0,
    "conversations": 4.0,
    "sft": 20.0,
    "preference_pairs": 30.0,
    "dpo": 10.0,
    "evaluation": 40.0,
    "registration": 3.0,
}
PAST = PastRun(seconds=SECONDS, plan=PLAN, text_bytes=1000)


def by_stage(times: list[StageTime]) -> dict[str, float | None]:
    return {time.stage: time.seconds for time in times}


def test_with_the_model_that_was_measured_every_stage_takes_what_it_took_and_pretraining_what_is_planned() -> None:
    times = by_stage(stage_times(PAST, training=600.0, same_model=True, slower=None))
    assert list(times) == list(STAGES)
    assert times["curation"] == 102.0
    assert times["pretraining"] == 600.0
    assert times["sft"] == 24.0
    assert times["evaluation"] == 40.0


def test_with_another_model_tuning_is_scaled_and_what_generates_text_is_unknown() -> None:
    times = {time.stage: time for time in stage_times(PAST, training=600.0, same_model=False, slower=3.0)}
    assert times["tokenizer"].seconds == 15.0
    assert times["sft"].seconds == 4.0 + 3 * 20.0
    assert times["sft"].reason == "measured, sft scaled by the time of a training step"
    assert times["dpo"].seconds is None
    assert times["dpo"].reason == "preference_pairs generates text with a model that was not measured"
    assert times["evaluation"].seconds is None


def test_what_no_run_has_made_is_unknown() -> None:
    times = {
        time.stage: time
        for time in stage_times(PastRun(seconds={}, plan=None, text_bytes=None), training=9.0, same_model=False, slower=None)
    }
    assert times["curation"].reason == "no run in this home has made it"
    assert {time.seconds for name, time in times.items() if name != "pretraining"} == {None}


def test_tuning_of_a_model_that_is_not_known_is_unknown() -> None:
    past = dataclasses.replace(PAST, plan=None)
    times = {time.stage: time for time in stage_times(past, training=9.0, same_model=False, slower=None)}
    assert times["sft"].reason == "the model of the last run is not known"


@pytest.fixture
def home(any_home: Settings, tmp_path: Path) -> Settings:
    """A home with two runs of `mine`, the newer of which reused what the older made, and a newer run of another recipe."""
    shards = published(any_home, "token_shards", write_token_shards(tmp_path / "token-shards"))
    plan = published(any_home, "scaling", write_plan(tmp_path / "plan", PLAN))
    older = open_journal(any_home.runs, "20260101-000000-0000")
    older.write("run", recipe="mine")
    older.write("made", step="token_shards", **shards.pinned, seconds=7.0)
    older.write("made", step="scaling", **plan.pinned, seconds=1.0)
    newer = open_journal(any_home.runs, "20260102-000000-0000")
    newer.write("run", recipe="mine")
    newer.write("cached", step="token_shards", **shards.pinned)
    newer.write("made", step="scaling", **plan.pinned, seconds=2.0)
    other = open_journal(any_home.runs, "20260103-000000-0000")
    other.write("run", recipe="other")
    other.write("made", step="scaling", **plan.pinned, seconds=99.0)
    return any_home


def test_the_newest_run_that_made_a_step_counts_and_reused_steps_do_not(home: Settings) -> None:
    past = past_run(home, "mine")
    assert past.seconds == {"token_shards": 7.0, "scaling": 2.0}
    assert past.plan == PLAN
    assert past.text_bytes is not None
    assert past.text_bytes > 0


def test_a_recipe_that_was_never_run_has_no_past(home: Settings) -> None:
    assert past_run(home, "never") == PastRun(seconds={}, plan=None, text_bytes=None)
