"""What conversations and pairs are read from, as it is now: part of what decides whether they are made again."""

import hashlib

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from components.alignment.jsonl import JsonlSource
from components.artifacts import sha256_of_file
from components.python_environment import distributions


def fingerprint(config: ConversationsConfig | PreferencePairsConfig) -> str:
    """sha256 in hex over the bytes of the user's files, and over name, version and module sizes of the distributions.

    Raises:
        SourceError: a file or distribution that is not there.
    """
    digest = hashlib.sha256()
    for uri in config.sources:
        digest.update(f"{uri}\0{sha256_of_file(JsonlSource(uri, config.max_bad_lines).path)}\n".encode())
    if isinstance(config, ConversationsConfig):
        for one in distributions(config.distributions):
            digest.update(f"{one.name}\0{one.version}\0{[(file.path, file.size) for file in one.modules]}\n".encode())
    return digest.hexdigest()
