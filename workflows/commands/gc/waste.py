"""The directories of a home that nothing needs, why others are kept, and the deletion of those that nothing needs.

A deleted artifact can be made again from its cache key. The exception is former content: an artifact that its cache key no
longer leads to, because the step was run again and gave different content. It is kept while a journal, a registered model or one
of their inputs refers to it.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import Artifact, Manifest
from components.errors import MissingArtifact
from components.locks import is_held
from components.ports import LocalArtifactStore
from components.ports.artifact_paths import scratch_uri
from infra.ray.local import delete_state
from infra.settings import Settings
from workflows.commands.gc.references import References, read_references
from workflows.steps.lock import deleting, lock_of
from workflows.steps.remains import remains

KEPT_BY = {
    "checkpoints": "the process that makes the step, and runs whose artifacts are kept",
    "index": "a process that uses it",
    "unpublished output": "the process that writes it",
    "state of Ray": "its run, while that is running",
    "copies from a cluster": "nothing: they can be downloaded again",
    "incomplete copy": "a registered version, or a run that is running or kept",
}
"""What is deleted besides artifacts -> what it is kept for."""

PERMANENT = {
    "artifacts": "artifacts in it are deleted one by one",
    "cache": "compiled code and notes on verified files, shared by all runs",
    "flyte": "the state of Flyte",
    "inspected": "pages that a user has asked for",
    "lock": "a lock",
    "locks": "locks",
    "mlflow": "the database of runs and registered models",
    "preflight.json": "what the preflight has found to be right",
    "profiles": "addresses of clusters",
    "rates": "speeds of this machine",
    "ray-train": "the state of running trainings, which they delete",
    "record.toml": "where artifacts and metrics are",
    "resume-proof": "deleted by its own command",
    "runs": "journals and logs, which say what made an artifact",
}
"""What `gc` never deletes as a whole -> why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Waste:
    """A directory of the home that can be deleted."""

    uri: str
    """Path below the home."""
    kind: str
    """Name of the artifact's class, or of another kind of directory, as in `KEPT_BY`."""
    bytes: int
    """Size of all its files."""
    manifest: Manifest | None = None
    """The manifest of an artifact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WasteListing:
    """What can be deleted in a home, and what refers to it."""

    waste: tuple[Waste, ...]
    references: References
    unknown: tuple[str, ...] = ()
    """URIs of artifacts of kinds that this version of longrun does not know; they are kept."""


def list_waste(settings: Settings, keep: Sequence[str]) -> WasteListing:
    """The directories that neither a registered model, nor a running run, nor a run in `keep` needs.

    If artifacts are stored in a bucket, only their copies in the home are listed: other homes may need those in the bucket.
    Raises what `read_references` raises.
    """
    references, unknown = read_references(settings, keep), list[str]()
    waste = list(_artifacts(settings.home, references, unknown))
    waste += _others(settings.home, references) if _is_home(settings.home) else []
    return WasteListing(waste=tuple(waste), references=references, unknown=tuple(unknown))


def delete_waste(settings: Settings, shown: Sequence[Waste], keep: Sequence[str]) -> list[Waste]:
    """Delete what was shown to the user and is still not needed; returns what was deleted.

    Nothing is taken up, published or registered by a run meanwhile that is not seen here. Raises what `read_references` raises.
    """
    uris = {entry.uri for entry in shown}
    with deleting(settings.home):
        deleted = [entry for entry in list_waste(settings, keep).waste if entry.uri in uris]
        for entry in deleted:
            if entry.kind == "state of Ray":
                delete_state(settings.home / entry.uri)
            else:
                LocalArtifactStore(settings.home).delete(Artifact(uri=entry.uri, digest=""))
    return deleted


def _is_home(home: Path) -> bool:
    """Whether longrun has used the directory: a user's own may have a folder that is called `writing` or `scratch` too."""
    patterns = ("runs/*/events.jsonl", "mlflow/mlflow.db", "artifacts/*/*", "copies/*")
    return any(path for pattern in patterns for path in home.glob(pattern))


def _artifacts(home: Path, references: References, unknown: list[str]) -> Iterator[Waste]:
    store, kinds = LocalArtifactStore(home), {kind.__name__ for kind in Artifact.__subclasses__()}
    for artifact in store.artifacts():
        if artifact.uri in references.needed:
            continue
        with contextlib.suppress(MissingArtifact):  # another `gc` has just deleted it
            manifest = store.manifest(artifact.uri)
            if manifest.kind in kinds:
                yield Waste(uri=artifact.uri, kind=manifest.kind, bytes=_bytes(home / artifact.uri), manifest=manifest)
            else:
                unknown.append(artifact.uri)


def _others(home: Path, references: References) -> Iterator[Waste]:
    """What can be deleted besides artifacts, with its kind."""
    store = LocalArtifactStore(home)
    unneeded = {path: "incomplete copy" for path in store.unfinished() if _uri(home, path) not in references.needed}
    unneeded |= dict.fromkeys(sorted(home.glob("copies/*")), "copies from a cluster")
    kept = {scratch_uri(event["step"], event["cache_key"]) for event in references.started}
    for path in sorted(home.glob("scratch/*/*")):
        if _uri(home, path) not in kept and not is_held(lock_of(path)):
            unneeded[path] = "index" if path.parent.name.endswith("-index") else "checkpoints"
    unneeded |= {path: "state of Ray" if path.parent.name == "ray" else "unpublished output" for path in remains(home)}
    return (Waste(uri=_uri(home, path), kind=kind, bytes=_bytes(path)) for path, kind in unneeded.items())


def _uri(home: Path, path: Path) -> str:
    return path.relative_to(home).as_posix()


def _bytes(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # its process deletes it just now
                total += Path(folder, name).lstat().st_size
    return total
