"""The files of a checkpoint of others, before anything is read from them."""

import hashlib
from pathlib import Path

from components.artifacts import sha256_of_file
from components.errors import MissingArtifact

READ = ("*.json", "*.safetensors")
"""Of a checkpoint's directory; pickled weights and code are not looked at."""


def files_of(directory: Path) -> list[Path]:
    """What is read of a checkpoint, sorted, as absolute paths. Raises `MissingArtifact` where there is nothing."""
    found = sorted(path.absolute() for pattern in READ for path in directory.expanduser().glob(pattern))
    if not found:
        raise MissingArtifact(f"{directory}: no config and safetensors here; pretraining.start names a checkpoint's directory")
    return found


def fingerprint(directory: Path) -> str:
    """sha256 hex over the names and bytes of what is read. Raises as `files_of` does."""
    rows = [f"{path.name} {sha256_of_file(path)}" for path in files_of(directory)]
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
