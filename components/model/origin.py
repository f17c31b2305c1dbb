"""The files of a checkpoint that is to be imported, and their fingerprint."""

import hashlib
from pathlib import Path

from components.artifacts import sha256_of_file
from components.errors import MissingArtifact

READ = ("*.json", "*.safetensors")
"""Patterns of the files that are read; pickled weights and code are ignored."""


def files_of(directory: Path) -> list[Path]:
    """The files of a checkpoint that are read, sorted, as absolute paths. Raises `MissingArtifact` where there are none."""
    paths = sorted(path.absolute() for pattern in READ for path in directory.expanduser().glob(pattern))
    if not paths:
        raise MissingArtifact(f"{directory}: no config and safetensors here; pretraining.start names a checkpoint's directory")
    return paths


def fingerprint(directory: Path) -> str:
    """sha256 hex over the names and contents of those files. Raises as `files_of` does."""
    rows = [f"{path.name} {sha256_of_file(path)}" for path in files_of(directory)]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
