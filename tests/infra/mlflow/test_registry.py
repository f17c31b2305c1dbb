"""Versions, aliases and names in a real MLflow on SQLite."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

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


def _enter(uri: str, run_id: str, name: str, artifact: Artifact) -> tuple[registry.Version, bool]:
    return registry.register(uri, name, artifact, source=f"/home/{artifact.uri}", run_id=run_id, alias="candidate", tags={})


def _by_hand(uri: str, run_id: str, name: str, artifact: Artifact) -> int:
    """A version as a registration leaves it that was killed before it set the alias, or that another process has made."""
    mlflow = tracking.client(uri)
    tags = {"longrun.digest": artifact.digest, "longrun.content": artifact.content, "longrun.uri": artifact.uri}
    return int(mlflow.create_model_version(name, f"/home/{artifact.uri}", run_id, tags=tags).version)


def test_the_alias_goes_to_the_content_that_was_registered_last(uri: str, run_id: str) -> None:
    for artifact in (FIRST, SECOND, FIRST):
        version, _ = _enter(uri, run_id, "back-and-forth", artifact)
    assert (version.version, version.aliases) == (1, ("candidate",))
    assert [known.aliases for known in registry.versions(uri, "back-and-forth")] == [("candidate",), ()]


def test_a_registration_that_was_killed_before_the_alias_is_completed_by_the_next(uri: str, run_id: str) -> None:
    tracking.client(uri).create_registered_model("killed")
    _by_hand(uri, run_id, "killed", FIRST)
    version, new = _enter(uri, run_id, "killed", FIRST)
    assert (version.version, version.aliases, new) == (1, ("candidate",), False)


@pytest.mark.parametrize("completed", range(5))
def test_a_registration_killed_between_any_two_requests_is_completed_by_the_next(
    uri: str, run_id: str, completed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[object] = []

    def dying(*arguments: Any, **named: Any) -> Any:
        if len(requests) == completed:
            raise KeyboardInterrupt
        requests.append(arguments)
        return tracking.ask(*arguments, **named)

    name = f"killed-after-{completed}"
    monkeypatch.setattr(registry, "ask", dying)
    with pytest.raises(KeyboardInterrupt):
        _enter(uri, run_id, name, FIRST)
    monkeypatch.undo()
    _enter(uri, run_id, name, FIRST)
    (version,) = registry.versions(uri, name)
    assert version.aliases == ("candidate",)


def test_of_several_versions_of_one_content_the_first_stays(uri: str, run_id: str) -> None:
    tracking.client(uri).create_registered_model("doubled")
    for artifact in (FIRST, SECOND, FIRST, FIRST):
        _by_hand(uri, run_id, "doubled", artifact)
    _enter(uri, run_id, "doubled", FIRST)
    assert [version.version for version in registry.versions(uri, "doubled")] == [1, 2]
    assert _by_hand(uri, run_id, "doubled", SECOND) == 5, "MLflow gave the number of a deleted version to another content"


def test_a_second_version_that_has_an_alias_is_kept(uri: str, run_id: str) -> None:
    mlflow = tracking.client(uri)
    mlflow.create_registered_model("in-use")
    for _ in range(2):
        _by_hand(uri, run_id, "in-use", FIRST)
    mlflow.set_registered_model_alias("in-use", "champion", "2")
    _enter(uri, run_id, "in-use", FIRST)
    assert [version.aliases for version in registry.versions(uri, "in-use")] == [("candidate",), ("champion",)]


@pytest.mark.parametrize("attempt", range(4))
def test_registrations_at_once_leave_one_version_with_its_alias(uri: str, run_id: str, attempt: int) -> None:
    name, homes = f"at-once-{attempt}", [Artifact(uri=f"artifacts/{n}", digest=str(n) * 64, content="c" * 64) for n in range(4)]
    with ThreadPoolExecutor(4) as threads:
        registered = list(threads.map(lambda artifact: _enter(uri, run_id, name, artifact), homes))
    (version,) = registry.versions(uri, name)
    assert version.aliases == ("candidate",)
    assert {str(kept) for kept, _ in registered} == {str(version)}
    assert [new for _, new in registered].count(True) == 1


@pytest.mark.long
def test_models_beyond_a_page_and_with_quotes_in_their_names_are_listed(uri: str, run_id: str) -> None:
    mlflow = tracking.client(uri)
    names = [f"many-{number:03}" for number in range(101)]
    for name in names:
        mlflow.create_registered_model(name)
    for name in (names[-1], "it's", 'a "quoted" one'):
        _enter(uri, run_id, name, FIRST)
    listed = {version.name for version in registry.models(uri)}
    assert {names[-1], "it's", 'a "quoted" one'} <= listed


def test_a_version_has_the_description(uri: str, run_id: str) -> None:
    said = {"source": "/home/x", "run_id": run_id, "alias": "candidate", "tags": {}, "description": "# small"}
    registry.register(uri, "described", FIRST, **said)
    assert tracking.client(uri).get_model_version("described", "1").description == "# small"
