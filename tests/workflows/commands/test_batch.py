"""`longrun batch` reads what a step saw from the run's record, finished or not, wherever artifacts are kept."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError
from components.pretraining.config import PretrainingConfig
from infra.caching import as_json
from infra.settings import Settings
from infra.urls import HERE
from tests.components.pretraining.conftest import PLAN, write_plan, write_token_shards
from tests.workflows.conftest import published
from workflows.commands.batch import batch, batch_lines
from workflows.steps.journal import Journal, open_journal

CONFIG: dict[str, Any] = json.loads(json.dumps(as_json(PretrainingConfig(seed=3))))


@pytest.fixture
def settings(any_home: Settings, tmp_path: Path) -> Settings:
    """A home with a run that is in the middle of pretraining."""
    shards = published(any_home, "token_shards", write_token_shards(tmp_path / "token-shards"))
    plan = published(any_home, "scaling", write_plan(tmp_path / "plan", PLAN))
    journal = open_journal(any_home.runs)
    journal.write("cached", step="token_shards", **shards.pinned)
    journal.write("made", step="scaling", **plan.pinned)
    journal.write("started", step="pretraining", config=CONFIG)
    return any_home


def test_a_step_of_an_unfinished_run_has_its_sequences_with_their_documents(settings: Settings) -> None:
    rows = batch(settings, "latest", 12)
    assert len(rows) == PLAN.batch_size
    assert {row.domain for row in rows} == {"code", "prose"}
    assert all(row.documents for row in rows)
    assert batch(settings, "latest", 11) != rows
    assert len(batch_lines(rows)) == len(rows)


def test_a_run_that_failed_or_reused_its_base_model_has_them_too(settings: Settings, tmp_path: Path) -> None:
    rows = batch(settings, "latest", 12)
    (started,) = (Journal(directory) for directory in settings.runs.iterdir())
    started.write("failed", step="pretraining", error="TrainingError", message="step 12: loss 9, a spike", known=True)
    started.write("finished", failed=True, message="step 12: loss 9, a spike")
    assert batch(settings, "latest", 12) == rows
    reusing = Journal(settings.runs / "20990101-000000-0000")
    for event in started.events()[:2]:
        reusing.write(**event | {"event": "cached"})
    base = published(settings, "pretraining", tmp_path / "plan", CONFIG)
    reusing.write("cached", step="pretraining", **base.pinned, figures={})
    assert batch(settings, "latest", 12) == rows


def test_tokens_are_not_brought_from_a_bucket(settings: Settings) -> None:
    batch(settings, "latest", 12)
    assert any(settings.home.rglob("*.bin")) == (settings.artifact_root == HERE)


@pytest.mark.parametrize("step", [0, 13])
def test_a_step_that_there_is_not_is_refused(settings: Settings, step: int) -> None:
    with pytest.raises(ConfigError, match=rf"STEP is {step}; allowed for run .*: 1 to 12"):
        batch(settings, "latest", step)


def test_a_run_that_has_not_come_to_pretraining_is_refused(settings: Settings) -> None:
    shutil.rmtree(settings.runs)
    open_journal(settings.runs)
    with pytest.raises(ConfigError, match="has begun step pretraining; make one with: longrun run"):
        batch(settings, "latest", 1)
