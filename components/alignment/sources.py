"""A fingerprint of what conversations and pairs are read from: one of the inputs that decide whether they are made again."""

import hashlib

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from components.alignment.jsonl import named_files
from components.locations import state_of
from components.python_environment import distributions


def fingerprint(config: ConversationsConfig | PreferencePairsConfig) -> str:
    """sha256 in hex over names and bytes (for objects in a store, their ETags) of the user's files, and over name, version and
    module sizes of the distributions.

    Where the files lie is no part of it.

    Raises:
        SourceError: a file or distribution that is not there.
    """
    digest = hashlib.sha256()
    for file in named_files(config.sources, config.max_bad_lines):
        digest.update(f"{file.name}\0{state_of(file.location)}\n".encode())
    if isinstance(config, ConversationsConfig):
        for distribution in distributions(config.distributions):
            sizes = [(file.path, file.size) for file in distribution.modules]
            digest.update(f"{distribution.name}\0{distribution.version}\0{sizes}\n".encode())
    return digest.hexdigest()
