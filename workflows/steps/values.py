"""Typed values of artifacts, read without the files beside them."""

from typing import TYPE_CHECKING, TypeVar

from components.artifacts import Artifact, JsonFile

if TYPE_CHECKING:
    from components.ports import ArtifactStore

Value = TypeVar("Value", bound=JsonFile)


def value_of(store: "ArtifactStore", artifact: Artifact, kind: type[Value]) -> Value:
    """The value of that kind in an artifact.

    Raises:
        MissingArtifact: the artifact holds none: an older longrun made it.
        DamagedArtifact: its digest or that file differs, or it is no such value.
    """
    return kind.read(store.local(artifact, only=(kind.NAME,)))
