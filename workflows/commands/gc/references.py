"""Everything that refers to the artifacts of a home: registered versions and the journals of its runs.

Whoever deletes must have read all references. If one cannot be read, `read_references` raises instead of leaving it out.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from components.artifacts import Artifact, Manifest
from components.errors import HomeError, MissingArtifact, TrackingError
from components.ports import LocalArtifactStore
from infra.mlflow import registry
from infra.settings import Settings
from infra.urls import HERE
from workflows.steps.journal import DONE, Event, Journal, find_journal
from workflows.steps.lineage import walk
from workflows.steps.lock import is_running


@dataclass(frozen=True, kw_only=True, slots=True)
class References:
    """What is needed in a home, and by whom."""

    runs: tuple[Journal, ...]
    """All runs of the home, newest first."""
    kept_runs: tuple[Journal, ...]
    """Runs whose artifacts and checkpoints are kept: running ones, earlier ones of their recipes, and those named with --keep."""
    needed: frozenset[str]
    """URIs of artifacts that are kept, and of everything that they were made from."""
    elsewhere: tuple[str, ...]
    """Registered versions whose artifacts are in another home or bucket."""

    @property
    def started(self) -> list[Event]:
        """The events with which the kept runs started to make steps, whose checkpoints are kept."""
        return [event for run in self.kept_runs for event in run.events() if event["event"] == "started" and "cache_key" in event]


def read_references(settings: Settings, keep: Sequence[str]) -> References:
    """Read all references to artifacts of the home; `keep` are runs to keep, by id, prefix or `latest`.

    Raises:
        HomeError: the home's model registry cannot be read.
        TrackingError: an MLflow server on which a run of the home has registered models cannot be read.
        ArtifactError: a manifest below a registered model cannot be read.
        ConfigError: there is no run to keep with that name.
    """
    runs = tuple(map(Journal, sorted(settings.runs.iterdir(), reverse=True))) if settings.runs.is_dir() else ()
    # Before the registries: a run that ends meanwhile has registered its model already
    running = [run for run in runs if is_running(run)]
    recipes = {_recipe(run) for run in running}
    kept = {run.name for run in [*(find_journal(settings.runs, name) for name in keep), *running]}
    kept |= {run.name for run in runs if _recipe(run) in recipes}
    kept_runs = tuple(run for run in runs if run.name in kept)

    store, elsewhere = _HomeAndBucket(settings), list[str]()
    needed = {artifact.uri for artifact, _ in walk(store, _registered(settings, runs, store, elsewhere))}
    # What these runs refer to may have been deleted before
    roots = [artifact for run in kept_runs for artifact in run.artifacts()]
    needed |= {artifact.uri for artifact, _ in walk(store, [*roots, *_former(settings, runs)], broken={})}
    return References(runs=runs, kept_runs=kept_runs, needed=frozenset(needed), elsewhere=tuple(elsewhere))


def _recipe(run: Journal) -> str:
    return next((str(event["recipe"]) for event in run.events() if "recipe" in event), "")


def _registered(settings: Settings, runs: Sequence[Journal], store: "_HomeAndBucket", elsewhere: list[str]) -> Iterator[Artifact]:
    """The artifacts of all registered versions; versions whose artifact is not here are added to `elsewhere`."""
    for uri in _registries(settings, runs):
        try:
            versions = registry.models(uri)
        except TrackingError as error:
            raise TrackingError(f"{error}; gc deletes nothing, because a model that is registered there may need it") from error
        for version in versions:
            try:
                store.manifest(version.artifact.uri)
            except MissingArtifact:
                elsewhere.append(str(version))
            else:
                yield version.artifact


def _registries(settings: Settings, runs: Sequence[Journal]) -> list[str]:
    """Tracking URIs of the registry of the settings, and of those where runs of the home have registered models.

    A registry in a file is that of this home, whatever its path was at the time of the run: the home may have been moved.
    """
    own, events = replace(settings, mlflow_uri=HERE).tracking_uri, [run.events() for run in runs]
    used = {str(event["tracking_uri"]) for of_run in events for event in of_run if "tracking_uri" in event and _registers(of_run)}
    database = settings.home / "mlflow" / "mlflow.db"
    has_own = any(str(event.get("tracking_uri", "")).startswith("sqlite:") for of_run in events for event in of_run)
    has_own |= settings.mlflow_uri == settings.artifact_root == HERE and any(settings.home.glob("artifacts/*/*"))
    if has_own or os.path.lexists(database):
        _require_registry(database)
        used.add(own)
    used |= {settings.mlflow_uri} - {HERE}
    return sorted(uri for uri in used if uri == own or not uri.startswith("sqlite:"))


def _registers(events: Sequence[Event]) -> bool:
    return any(event.get("step") == "registration" and event["event"] in DONE for event in events)


def _require_registry(database: Path) -> None:
    """Raise `HomeError` unless `database` is MLflow's database. MLflow itself would create it, without any model."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM registered_models").fetchone()
    except sqlite3.Error as error:
        raise HomeError(
            f"{database}: the model registry of this home cannot be read ({error}); gc deletes nothing, because a registered "
            "model may need it; restore this file from a backup"
        ) from error


def _former(settings: Settings, runs: Iterable[Journal]) -> list[Artifact]:
    """Former content that a journal refers to; none with a bucket, from which it can be fetched again."""
    here = LocalArtifactStore(settings.home)
    former = [artifact for artifact in here.artifacts() if here.is_former(artifact)]
    if settings.artifact_root != HERE or not former:
        return []
    referred = {artifact.uri for run in runs for artifact in run.artifacts()}
    return [artifact for artifact in former if artifact.uri in referred]


@dataclass(frozen=True, slots=True)
class _HomeAndBucket:
    """Reads manifests in the home, where runs without a bucket have stored their artifacts, and else in the bucket."""

    settings: Settings

    def manifest(self, uri: str) -> Manifest:
        try:
            return LocalArtifactStore(self.settings.home).manifest(uri)
        except MissingArtifact:
            return self.settings.store.manifest(uri)
