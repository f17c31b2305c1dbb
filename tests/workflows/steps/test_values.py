"""Values of artifacts, read from a store without the files beside them."""

from pathlib import Path

import pytest

from components.artifacts import Artifact, Manifest, PlanVerdict, TrainingOutcome
from components.errors import DamagedArtifact, MissingArtifact
from components.ports import LocalArtifactStore
from components.ports.store import records_of
from tests.components.artifacts.samples import OUTCOME
from workflows.steps.values import value_of


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(tmp_path / "home")


@pytest.fixture
def checkpoint(store: LocalArtifactStore) -> Artifact:
    """A checkpoint with its outcome, whose weights are gone."""
    with store.writing("pretraining") as output:
        OUTCOME.write(output)
        (output / "model.safetensors").write_bytes(b"weights")
        names = dict.fromkeys(("kind", "code_digest", "environment_digest"), "")
        manifest = Manifest(step="pretraining", cache_key=64 * "a", config={}, files=records_of(output), **names)
        return store.publish(output, manifest)


def test_a_value_is_read_although_other_files_are_not_there(store: LocalArtifactStore, checkpoint: Artifact) -> None:
    next(store.root.rglob("model.safetensors")).unlink()
    assert value_of(store, checkpoint, TrainingOutcome) == OUTCOME


def test_a_value_that_the_artifact_does_not_hold_is_missing(store: LocalArtifactStore, checkpoint: Artifact) -> None:
    with pytest.raises(MissingArtifact, match=r"verdict\.json"):
        value_of(store, checkpoint, PlanVerdict)


def test_a_value_that_was_changed_is_damaged(store: LocalArtifactStore, checkpoint: Artifact) -> None:
    path = next(store.root.rglob(TrainingOutcome.NAME))
    path.write_text(path.read_text().replace("5.25", "5.26"))
    with pytest.raises(DamagedArtifact, match=r"outcome\.json"):
        value_of(store, checkpoint, TrainingOutcome)
