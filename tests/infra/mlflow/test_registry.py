"""Versions, aliases and names in a real MLflow on SQLite."""

import pytest

from components.artifacts import Artifact
from components.errors import ConfigError, MissingArtifact
from infra.mlflow import registry, tracking

FIRST = Artifact(uri="artifacts/registration/1", digest="a" * 64)
SECOND = Artifact(uri="artifacts/registration/2", digest="b" * 64)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow/mlflow.db"


@pytest.fixture(scope="module")
def run_id(uri: str) -> str:
    return tracking.start_run(uri, "parent")


@pytest.fixture(scope="module")
def registered(uri: str, run_id: str) -> list[tuple[registry.Version, bool]]:
    def enter(artifact: Artifact) -> tuple[registry.Version, bool]:
        return registry.register(
            uri, "small", artifact, source=f"/home/{artifact.uri}", run_id=run_id, alias="candidate", tags={}
        )

    return [enter(FIRST), enter(FIRST), enter(SECOND)]


@pytest.mark.long
def test_an_artifact_is_registered_once_however_often_it_is_asked_for(registered: list[tuple[registry.Version, bool]]) -> None:
    assert [(version.version, new) for version, new in registered] == [(1, True), (1, False), (2, True)]


def test_a_version_points_to_its_artifact_by_place_and_digest(uri: str, registered: object) -> None:
    assert registry.resolve(uri, "small/1").artifact == FIRST


def test_a_name_alone_is_the_newest_version_and_an_alias_the_one_that_carries_it(uri: str, registered: object) -> None:
    assert registry.resolve(uri, "small").version == 2
    assert registry.resolve(uri, "small@candidate").version == 2


@pytest.mark.parametrize("model", ["", "small/", "small@", "small/two", "/1"])
def test_a_malformed_model_is_refused_with_the_forms_allowed(uri: str, registered: object, model: str) -> None:
    with pytest.raises(ConfigError, match="name, name/version or name@alias"):
        registry.resolve(uri, model)


@pytest.mark.parametrize(("model", "message"), [("large", "registered: small"), ("small/9", "1, 2"), ("small@best", "candidate")])
def test_what_is_not_registered_is_refused_with_what_is(uri: str, registered: object, model: str, message: str) -> None:
    with pytest.raises(MissingArtifact, match=message):
        registry.resolve(uri, model)
