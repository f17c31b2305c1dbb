"""Names of stages and steps on the command line."""

import pytest

from components.errors import ConfigError
from workflows.steps.stages import STAGES, last_stage, steps_of


def test_a_stage_stands_for_all_its_steps_and_a_step_for_itself() -> None:
    assert steps_of("tokenizer") == ("start", "tokenizer", "token_shards", "check_token_shards")
    assert steps_of("token_shards") == ("token_shards",)


def test_alignment_is_sft_and_dpo() -> None:
    assert steps_of("alignment") == STAGES["sft"] + STAGES["dpo"]
    assert last_stage("alignment") == "dpo"


def test_an_unknown_stage_is_refused_with_the_nearest_and_all_allowed() -> None:
    with pytest.raises(ConfigError, match=r"unknown stage 'curaton' \(did you mean 'curation'\?\); allowed: curation, tokenizer"):
        last_stage("curaton")
    with pytest.raises(ConfigError, match=r"unknown stage or step 'nothing'; allowed: .*token_shards"):
        steps_of("nothing")
