"""The steps of registration, and what the registry is told."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.artifacts import RegisteredModel
from components.errors import DamagedArtifact
from components.ports import LocalArtifactStore
from components.registration.config import RegistrationConfig
from infra.mlflow import tracking
from tests.components.ports.store_suite import change_and_remember, publish
from tests.workflows.stage_suite import require_inputs_taken, run_in, steps_of
from workflows import registration


@pytest.mark.parametrize("step", steps_of(registration))
def test_the_component_of_a_step_takes_its_inputs(step: str, tmp_path: Path) -> None:
    require_inputs_taken(registration, step, tmp_path)


def test_a_changed_model_is_not_registered_whatever_is_remembered(tmp_path: Path) -> None:
    run, store = run_in(tmp_path), LocalArtifactStore(tmp_path)
    model = publish(store).as_(RegisteredModel)
    change_and_remember(store, model)
    with pytest.raises(DamagedArtifact, match=r"a\.txt: sha256 differs from the manifest; make it again"):
        registration.enter_registry(run, RegistrationConfig(name="small"), model)


@pytest.mark.long
def test_a_model_is_registered_once_and_the_journal_has_its_version(tmp_path: Path) -> None:
    run, config = run_in(tmp_path), RegistrationConfig(name="small")
    run = replace(run, mlflow_run=tracking.start_run(run.tracking_uri, "run"))
    model = publish(LocalArtifactStore(tmp_path)).as_(RegisteredModel)
    for _ in range(2):
        registration.enter_registry(run, config, model)
    events = [(event["model"], event["new"], event["digest"]) for event in run.journal.events()]
    assert events == [("small/1", True, model.digest), ("small/1", False, model.digest)]
    (version,) = tracking.client(run.tracking_uri).search_model_versions("name = 'small'")
    assert version.source == str(tmp_path / model.uri)
