"""From a model down to the raw sources, by the chain of manifests."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.artifacts import Artifact
from components.ports import ArtifactStore

Tree = dict[str, Any]


def tree(store: ArtifactStore, artifact: Artifact) -> Tree:
    """The artifact with its config, digests, figures and, below `inputs`, everything it was made from."""
    manifest = store.manifest(artifact.uri)
    return {
        "step": manifest.step,
        "kind": manifest.kind,
        "uri": artifact.uri,
        "digest": artifact.digest,
        "config": manifest.config,
        "code_digest": manifest.code_digest,
        "environment_digest": manifest.environment_digest,
        "figures": manifest.figures,
        "checks": [dataclasses.asdict(check) for check in manifest.checks],
        "inputs": {name: tree(store, value) for name, value in manifest.inputs.items()},
        "raw": raw_sources(store.local(artifact)),
    }


def raw_sources(directory: Path) -> list[Tree]:
    """Files, bytes and a digest over all hashes for each source of a corpus; empty for any other artifact."""
    if not (directory / "raw.parquet").is_file():
        return []
    from components.curation.raw import summarise

    return summarise(directory / "raw.parquet")


def below(store: ArtifactStore, artifact: Artifact) -> Iterator[Artifact]:
    """The artifact and everything it was made from, each once, depth first."""
    seen: set[str] = set()
    waiting = [artifact]
    while waiting:
        current = waiting.pop()
        if current.digest not in seen:
            seen.add(current.digest)
            yield current
            waiting.extend(store.manifest(current.uri).inputs.values())
