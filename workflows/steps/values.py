"""Reads typed values from artifacts, without downloading their other files."""

from typing import TYPE_CHECKING, TypeVar

from components.artifacts import Artifact, JsonFile

if TYPE_CHECKING:
    from components.ports import ArtifactStore

Value = TypeVar("Value", bound=JsonFile)


def value_of(store: "ArtifactStore", artifact: Artifact, kind: type[Value]) -> Value:
    """Read the file of type `kind` in an artifact.

    Raises:
        MissingArtifact: the artifact has no such file, because an older longrun made it.
        DamagedArtifact: the artifact's digest or the file differs, or the file cannot be parsed.
    """
    return kind.read(store.local(artifact, only=(kind.NAME,)))
