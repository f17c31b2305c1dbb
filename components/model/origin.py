"""Lists the files of a checkpoint to import, and computes their fingerprint."""

from components import locations
from components.errors import MissingArtifact
from components.locations import FileEntry, files_in

READ = ("*.json", "*.safetensors")
"""Patterns of the files that are read; pickled weights and code are ignored."""


def files_of(directory: str) -> list[FileEntry]:
    """The files of a checkpoint that are read, sorted; `directory` is a path, or a URI in a bucket.

    Raises:
        MissingArtifact: there are no such files.
        StoreError: the object store cannot be reached or refuses the request.
    """
    files = files_in(directory, READ)
    if not files:
        raise MissingArtifact(
            f"{directory}: no JSON or safetensors files here; set pretraining.start to the directory of a checkpoint"
        )
    return files


def fingerprint(directory: str) -> str:
    """sha256 in hex over the names and contents (ETags for objects in a bucket) of these files. Raises as `files_of`."""
    return locations.fingerprint(files_of(directory))
