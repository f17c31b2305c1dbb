"""Names of stages and steps on the command line."""

import pytest

from components.errors import ConfigError
from workflows.steps.stages import ENDS, STAGES, last_end, last_stage, steps_of


def test_a_stage_stands_for_all_its_steps_and_a_step_for_itself() -> None:
    assert steps_of("tokenizer") == ("start", "tokenizer", "token_shards", "check_token_shards")
    assert steps_of("token_shards") == ("token_shards",)


def test_alignment_is_sft_and_dpo() -> None:
    assert steps_of("alignment") == STAGES["sft"] + STAGES["dpo"]
    assert last_stage("alignment") == "dpo"


def test_an_unknown_stage_is_refused_with_the_nearest_and_all_allowed() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown stage or step 'curaton' \(did you mean 'curation'\?\); allowed: curation, tokenizer"
    ):
        last_stage("curaton")
    with pytest.raises(ConfigError, match=r"unknown stage or step 'nothing'; allowed: .*token_shards"):
        steps_of("nothing")


@pytest.mark.parametrize("step", [step for steps in STAGES.values() for step in steps])
def test_a_run_can_end_at_every_step_that_it_prints_and_that_can_be_made_again(step: str) -> None:
    stage = last_stage(step)
    assert step in STAGES[stage]
    assert step in steps_of(step)
    assert last_end(step) in {stage, *ENDS}


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("conversations", "conversations"),
        ("check_conversations", "conversations"),
        ("preference_pairs", "preference_pairs"),
        ("token_shards", "tokenizer"),
        ("check_corpus", "curation"),
        ("sft", "sft"),
        ("alignment", "dpo"),
    ],
)
def test_a_run_until_a_step_ends_there_or_with_its_stage(name: str, end: str) -> None:
    assert last_end(name) == end
