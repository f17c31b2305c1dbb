"""The whole chain twice, at two times, in two homes and two folders: equal contents, evidence of its own, one registered version.

`tests/workflows/steps/test_step.py` has the same of a single step.
"""

import os
import shutil
from pathlib import Path

import pytest

from components.artifacts import Artifact, Manifest
from components.ports import LocalArtifactStore
from tests.end_to_end.commands import as_json, events, ran, steps

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def artifacts_of(home: Path) -> dict[str, tuple[Artifact, Manifest]]:
    """What stands in a home, by step."""
    store = LocalArtifactStore(home)
    stored = [(artifact, store.manifest(artifact.uri)) for artifact in store.artifacts()]
    return {manifest.step: (artifact, manifest) for artifact, manifest in stored}


@pytest.fixture(scope="module")
def second(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home elsewhere in which the chain ran anew; of the first one it has the registry alone."""
    root = tmp_path_factory.mktemp("second")
    for name in ("user", "temporary", "folder"):
        (root / name).mkdir()
    shutil.copytree(finished / "mlflow", root / "folder" / "home" / "mlflow")
    environment = {**os.environ, "HOME": str(root / "user"), "TMPDIR": str(root / "temporary")}
    ran("run", "tiny", home=root / "folder" / "home", environment=environment)
    return root / "folder" / "home"


def test_every_content_is_equal_and_every_evidence_is_other(finished: Path, second: Path) -> None:
    first, again = artifacts_of(finished), artifacts_of(second)
    assert steps(second, "cached") == []
    assert first.keys() == again.keys()
    assert {step: artifact.content for step, (artifact, _) in first.items()} == {
        step: artifact.content for step, (artifact, _) in again.items()
    }
    assert [step for step, (artifact, _) in first.items() if artifact.digest == again[step][0].digest] == []


def test_the_model_is_registered_once(second: Path) -> None:
    assert [model["model"] for model in as_json("models", home=second)] == ["tiny/1"]
    (registered,) = events(second, "registered")
    assert (registered["model"], registered["new"]) == ("tiny/1", False)


def test_what_the_clock_said_of_a_training_is_in_its_record(second: Path) -> None:
    _, manifest = artifacts_of(second)["pretraining"]
    assert manifest.making.measurements.keys() >= {"seconds", "tokens_per_second", "training_seconds", "memory_bytes", "goodput"}
    assert "tokens_per_second" not in manifest.figures
