"""`longrun gc`: list and delete what no registered model needs.

What a step made can be made again, but for content that its key no longer leads to: a former content stays as long as a journal,
a registered model or what these need refers to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import Artifact
from components.ports import LocalArtifactStore
from infra.settings import Settings
from infra.urls import HERE
from workflows.commands.models import versions
from workflows.steps.journal import Journal, find_journal
from workflows.steps.lineage import walk
from workflows.steps.lock import holding


@dataclass(frozen=True, kw_only=True, slots=True)
class Waste:
    """A directory of the home that nothing needs."""

    uri: str
    bytes: int


def unneeded(settings: Settings, keep: Sequence[str]) -> list[Waste]:
    """Artifacts and scratch that neither a registered model nor a run in `keep` needs, with their bytes.

    Where artifacts are kept in a bucket, these are copies in the home alone: other homes may need what is in the bucket.
    """
    store, here = settings.store, LocalArtifactStore(settings.home)
    roots = [version.artifact for version in versions(settings)]
    for run in keep:
        roots += find_journal(settings.runs, run).artifacts()
    needed = {artifact.uri for artifact, _ in walk(store, roots)}
    # what a former content was made from may have been deleted before
    needed |= {artifact.uri for artifact, _ in walk(store, _former(settings, here), broken={})}
    directories = [settings.home / artifact.uri for artifact in here.artifacts() if artifact.uri not in needed]
    directories += [path for path in here.unfinished() if path.relative_to(settings.home).as_posix() not in needed]
    # what was fetched to look at clusters can be fetched again
    directories += sorted(settings.home.glob("copies/*"))
    directories += sorted(settings.home.glob("scratch/*/*")) + sorted(settings.home.glob("writing/*"))
    return [Waste(uri=path.relative_to(settings.home).as_posix(), bytes=_bytes(path)) for path in directories]


def _former(settings: Settings, here: LocalArtifactStore) -> list[Artifact]:
    """Former contents that a journal refers to. Copies of a bucket's are none: they can be fetched again."""
    if settings.artifact_root != HERE or not settings.runs.is_dir():
        return []
    former = [artifact for artifact in here.artifacts() if here.is_former(artifact)]
    if not former:
        return []
    referred = {artifact.uri for directory in settings.runs.iterdir() for artifact in Journal(directory).artifacts()}
    return [artifact for artifact in former if artifact.uri in referred]


def delete_artifacts(settings: Settings, waste: Sequence[Waste]) -> None:
    """Delete what `unneeded` listed, while no run is using the home."""
    store = LocalArtifactStore(settings.home)
    with holding(settings.home):
        for entry in waste:
            store.delete(Artifact(uri=entry.uri, digest=""))


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
