"""The files of a checkpoint that is to be imported, and their fingerprint."""

import hashlib

from components.errors import MissingArtifact
from components.locations import FileEntry, files_in, state_of

READ = ("*.json", "*.safetensors")
"""Patterns of the files that are read; pickled weights and code are ignored."""


def files_of(directory: str) -> list[FileEntry]:
    """The files of a checkpoint that are read, sorted; `directory` is a path, or a URI in a bucket.

    Raises:
        MissingArtifact: there are none.
        StoreError: the object store cannot be reached, or refuses.
    """
    files = files_in(directory, READ)
    if not files:
        raise MissingArtifact(f"{directory}: no config and safetensors here; pretraining.start names a checkpoint's directory")
    return files


def fingerprint(directory: str) -> str:
    """sha256 hex over the names and contents (for objects in a store, the ETags) of those files. Raises as `files_of` does."""
    rows = [f"{file.relative} {state_of(file.location)}" for file in files_of(directory)]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
