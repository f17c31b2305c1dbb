"""`longrun gc`: list and delete artifacts and scratch files that no registered model needs.

A deleted artifact can be made again from its cache key. The exception is former content: an artifact that its cache key no
longer leads to, because the step was run again with another result. It is kept while a journal, a registered model or one of
their inputs refers to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import Artifact
from components.locks import is_held
from components.ports import LocalArtifactStore
from infra.settings import Settings
from infra.urls import HERE
from workflows.commands.models import versions
from workflows.steps.journal import Journal, find_journal
from workflows.steps.lineage import walk
from workflows.steps.lock import deleting, is_running, lock_of
from workflows.steps.remains import remains


@dataclass(frozen=True, kw_only=True, slots=True)
class Waste:
    """A directory of the home that can be deleted."""

    uri: str
    """Path below the home."""
    bytes: int
    """Size of all its files."""


def unneeded(settings: Settings, keep: Sequence[str]) -> list[Waste]:
    """Artifacts and scratch directories that neither a registered model, nor a running run, nor a run in `keep` needs.

    If artifacts are stored in a bucket, only their copies in the home are listed: other homes may need those in the bucket.
    """
    store, here = settings.store, LocalArtifactStore(settings.home)
    # Read before the registry: a run that ends now has registered its model already.
    running = [run for run in map(Journal, settings.home.glob("runs/*")) if is_running(run)]
    roots = [version.artifact for version in versions(settings)]
    for run in [*running, *(find_journal(settings.runs, name) for name in keep)]:
        roots += run.artifacts()
    needed = {artifact.uri for artifact, _ in walk(store, roots)}
    # The inputs of former content may have been deleted before.
    needed |= {artifact.uri for artifact, _ in walk(store, _former(settings, here), broken={})}
    directories = [settings.home / artifact.uri for artifact in here.artifacts() if artifact.uri not in needed]
    directories += [path for path in here.unfinished() if path.relative_to(settings.home).as_posix() not in needed]
    # Copies that commands fetched from a cluster can be fetched again.
    directories += sorted(settings.home.glob("copies/*"))
    directories += [path for path in sorted(settings.home.glob("scratch/*/*")) if not is_held(lock_of(path))]
    directories += remains(settings.home)
    return [Waste(uri=path.relative_to(settings.home).as_posix(), bytes=_bytes(path)) for path in directories]


def _former(settings: Settings, here: LocalArtifactStore) -> list[Artifact]:
    """Former content that a journal refers to; none with a bucket, from which it can be fetched again."""
    if settings.artifact_root != HERE or not settings.runs.is_dir():
        return []
    former = [artifact for artifact in here.artifacts() if here.is_former(artifact)]
    if not former:
        return []
    referred = {artifact.uri for directory in settings.runs.iterdir() for artifact in Journal(directory).artifacts()}
    return [artifact for artifact in former if artifact.uri in referred]


def delete_artifacts(settings: Settings, waste: Sequence[Waste], keep: Sequence[str] = ()) -> None:
    """Delete what `unneeded` listed and still lists."""
    store = LocalArtifactStore(settings.home)
    with deleting(settings.home):
        still = {entry.uri for entry in unneeded(settings, keep)}
        for entry in waste:
            if entry.uri in still:
                store.delete(Artifact(uri=entry.uri, digest=""))


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
