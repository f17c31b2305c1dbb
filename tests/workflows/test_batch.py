"""`longrun batch` reads what a step saw from the run's record, finished or not."""

import json
import shutil
from pathlib import Path

import pytest

from components.errors import ConfigError
from components.pretraining.config import PretrainingConfig
from infra.caching import as_json
from infra.settings import Settings
from tests.components.pretraining.conftest import PLAN, write_plan, write_token_shards
from workflows.batch import batch, batch_lines
from workflows.journal import open_journal


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with a run that is in the middle of pretraining."""
    settings = Settings(home=tmp_path)
    write_token_shards(tmp_path / "token-shards")
    write_plan(tmp_path / "plan", PLAN)
    journal = open_journal(settings.runs)
    journal.write("cached", step="token_shards", uri="token-shards")
    journal.write("made", step="scaling", uri="plan")
    journal.write("started", step="pretraining", config=json.loads(json.dumps(as_json(PretrainingConfig(seed=3)))))
    return settings


def test_a_step_of_an_unfinished_run_has_its_sequences_with_their_documents(settings: Settings) -> None:
    found = batch(settings, "latest", 12)
    assert len(found) == PLAN.batch_size
    assert {row["domain"] for row in found} == {"code", "prose"}
    assert all(row["documents"] for row in found)
    assert batch(settings, "latest", 11) != found
    assert len(batch_lines(found)) == len(found)


@pytest.mark.parametrize("step", [0, 13])
def test_a_step_that_there_is_not_is_refused(settings: Settings, step: int) -> None:
    with pytest.raises(ConfigError, match=rf"step {step} of run .*; allowed: 1 to 12"):
        batch(settings, "latest", step)


def test_a_run_that_has_not_come_to_pretraining_is_refused(settings: Settings) -> None:
    shutil.rmtree(settings.runs)
    open_journal(settings.runs)
    with pytest.raises(ConfigError, match="has no pretraining yet"):
        batch(settings, "latest", 1)
