"""Where artifacts are below the root of every store, and what says which of them is reused.

artifacts/STEP/KEY/current.json                 names the content that is reused for that cache key; put last
artifacts/STEP/KEY/CONTENT/manifest.json, …     an artifact, by its content digest: other content has a directory of its own
artifacts/STEP/KEY/attempts/CONTENT/….json      manifests of later attempts that made equal content, by their evidence digests
artifacts/STEP/KEY/manifest.json, …             an artifact of format 1
scratch/STEP/KEY/…                              what a step that is being made keeps

Each digest in a path is its first 16 digits.
"""

import contextlib
import json
import re
from collections.abc import Iterable

from components.artifacts import MANIFEST, Artifact, Manifest

POINTER = "current.json"
ATTEMPTS = "attempts"

DIGITS = 16
"""Digits of a digest that stand in a path."""
_CONTENT = re.compile(rf"[0-9a-f]{{{DIGITS}}}")
_URI = re.compile(rf"(artifacts/[^/]+/[^/]+(?:/{_CONTENT.pattern})?)/{re.escape(MANIFEST)}")


def key_uri(step: str, cache_key: str) -> str:
    """Where the artifacts of one step and key are below the root of every store; of format 1, where the artifact is."""
    return f"artifacts/{step}/{cache_key[:DIGITS]}"


def artifact_uri(manifest: Manifest) -> str:
    """Where the artifact of a manifest is below the root of every store."""
    return f"{key_uri(manifest.step, manifest.cache_key)}/{manifest.content_digest[:DIGITS]}"


def attempts_uri(artifact: Artifact) -> str:
    """Where later attempts are kept that made the content of an artifact; of format 1 there are none."""
    key, _, content = artifact.uri.rpartition("/")
    return f"{key}/{ATTEMPTS}/{content}"


def attempt_uri(manifest: Manifest) -> str:
    """Where the manifest of a later attempt is kept."""
    return f"{attempts_uri(manifest.at(artifact_uri(manifest)))}/{manifest.digest[:DIGITS]}.json"


def in_order(attempts: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Attempts by the times at which they were started."""
    return tuple(sorted(attempts, key=lambda attempt: (attempt.making.started, attempt.digest)))


def uris_of(names: Iterable[str]) -> list[str]:
    """The URIs, sorted, of the artifacts whose manifests are among the names of files below the root of a store."""
    return sorted(match[1] for name in names if (match := _URI.fullmatch(name)))


def pointer_to(manifest: Manifest) -> str:
    """What `current.json` holds where that content is reused."""
    return json.dumps({"content_digest": manifest.content_digest}) + "\n"


def pointed(data: bytes | None) -> str:
    """The directory of the content that `current.json` with these bytes names; empty where it names none."""
    with contextlib.suppress(ValueError, TypeError, LookupError):
        content = str(json.loads(data or b"")["content_digest"])[:DIGITS]
        return content if _CONTENT.fullmatch(content) else ""
    return ""


def is_content(name: str) -> bool:
    """Whether a directory of that name below a key is that of a content."""
    return _CONTENT.fullmatch(name) is not None


def candidates(step: str, cache_key: str, pointer: bytes | None) -> list[str]:
    """Where to look for the artifact of a step and key, given the bytes of `current.json`: there, and where format 1 has it."""
    key, content = key_uri(step, cache_key), pointed(pointer)
    return [*([f"{key}/{content}"] if content else []), key]


def scratch_uri(step: str, cache_key: str) -> str:
    """Where a step keeps what it is making, below the root of every store."""
    return f"scratch/{step}/{cache_key[:DIGITS]}"
