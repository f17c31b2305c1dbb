"""Computes a fingerprint of the files and packages from which conversations and pairs are made, for the cache key."""

import hashlib

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from components.alignment.jsonl import named_files
from components.locations import state_of
from components.python_environment import distributions


def fingerprint(config: ConversationsConfig | PreferencePairsConfig) -> str:
    """sha256 in hex over the user's files (name and content, or ETag for objects in a bucket) and the distributions (name,
    version and module sizes).

    The fingerprint does not depend on the directories of the files.

    Raises:
        SourceError: a file or distribution does not exist.
    """
    digest = hashlib.sha256()
    for file in named_files(config.sources):
        digest.update(f"{file.name}\0{state_of(file.location)}\n".encode())
    if isinstance(config, ConversationsConfig):
        for distribution in distributions(config.distributions):
            sizes = [(file.path, file.size) for file in distribution.modules]
            digest.update(f"{distribution.name}\0{distribution.version}\0{sizes}\n".encode())
    return digest.hexdigest()
