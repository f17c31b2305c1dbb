"""The paths of artifacts, attempts and scratch directories below the root of a store, and the pointer to the artifact to reuse.

artifacts/STEP/KEY/current.json                 names the content that is reused for the cache key KEY; written last
artifacts/STEP/KEY/CONTENT/manifest.json, …     an artifact, in a directory named after its content digest
artifacts/STEP/KEY/attempts/CONTENT/….json      manifests of later attempts that made equal content, by evidence digest
artifacts/STEP/KEY/manifest.json, …             an artifact of format 1
scratch/STEP/KEY/…                              files of a step that is running, such as training checkpoints

Paths contain the first 16 digits of each digest.
"""

import contextlib
import json
import re
from collections.abc import Iterable

from components.artifacts import MANIFEST, Artifact, Manifest

POINTER = "current.json"
ATTEMPTS = "attempts"

DIGITS = 16
"""Number of digits of a digest in a path."""
_CONTENT = re.compile(rf"[0-9a-f]{{{DIGITS}}}")
_URI = re.compile(rf"(artifacts/[^/]+/[^/]+(?:/{_CONTENT.pattern})?)/{re.escape(MANIFEST)}")


def key_uri(step: str, cache_key: str) -> str:
    """Directory of the artifacts of one step and cache key, relative to the root; an artifact of format 1 is this directory."""
    return f"artifacts/{step}/{cache_key[:DIGITS]}"


def artifact_uri(manifest: Manifest) -> str:
    """Directory of the artifact with that manifest, relative to the root."""
    return f"{key_uri(manifest.step, manifest.cache_key)}/{manifest.content_digest[:DIGITS]}"


def attempts_uri(artifact: Artifact) -> str:
    """Directory of the manifests of later attempts that made the same content; artifacts of format 1 have no attempts."""
    key, _, content = artifact.uri.rpartition("/")
    return f"{key}/{ATTEMPTS}/{content}"


def attempt_uri(manifest: Manifest) -> str:
    """Path of the manifest of a later attempt, relative to the root."""
    return f"{attempts_uri(manifest.at(artifact_uri(manifest)))}/{manifest.digest[:DIGITS]}.json"


def in_order(attempts: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Attempts sorted by their start times."""
    return tuple(sorted(attempts, key=lambda attempt: (attempt.making.started, attempt.digest)))


def uris_of(names: Iterable[str]) -> list[str]:
    """Sorted URIs of all artifacts whose manifest is in `names`, which are paths of files relative to the root."""
    return sorted(match[1] for name in names if (match := _URI.fullmatch(name)))


def pointer_to(manifest: Manifest) -> str:
    """The text of a `current.json` that points to the content of that manifest."""
    return json.dumps({"content_digest": manifest.content_digest}) + "\n"


def pointed(data: bytes | None) -> str:
    """The name of the directory that a `current.json` with these bytes points to; empty if it is missing or invalid."""
    with contextlib.suppress(ValueError, TypeError, LookupError):
        content = str(json.loads(data or b"")["content_digest"])[:DIGITS]
        return content if _CONTENT.fullmatch(content) else ""
    return ""


def is_content(name: str) -> bool:
    """Whether the name of a directory below a key is a content digest."""
    return _CONTENT.fullmatch(name) is not None


def candidates(step: str, cache_key: str, pointer: bytes | None) -> list[str]:
    """Directories in which to look for the current artifact: where `current.json` points to, and where format 1 stored it.

    `pointer` has the bytes of `current.json`; None if there is none.
    """
    key, content = key_uri(step, cache_key), pointed(pointer)
    return [*([f"{key}/{content}"] if content else []), key]


def scratch_uri(step: str, cache_key: str) -> str:
    """Scratch directory of a running step, relative to the root."""
    return f"scratch/{step}/{cache_key[:DIGITS]}"
