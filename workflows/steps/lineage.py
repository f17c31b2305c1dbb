"""From a model down to the raw sources, by the chain of manifests."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

from components.artifacts import Artifact
from components.errors import SourceError, StoreError
from components.ports import ArtifactStore

Tree = dict[str, Any]

RAW = "raw.parquet"
"""The file of an artifact that names the raw files it was read from."""


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
        "raw": _raw_sources(store, artifact),
    }


def _raw_sources(store: ArtifactStore, artifact: Artifact) -> list[Tree]:
    """Files, bytes and one digest over all file digests for each source of a corpus; empty for any other artifact."""
    sources: dict[str, list[Tree]] = {}
    for row in _raw_rows(store, artifact):
        sources.setdefault(row["source"], []).append(row)
    return [
        {
            "source": source,
            "files": len(files),
            "bytes": sum(file["bytes"] for file in files),
            "sha256": hashlib.sha256("".join(sorted(file["sha256"] for file in files)).encode()).hexdigest(),
        }
        for source, files in sorted(sources.items())
    ]


def raw_differences(store: ArtifactStore, artifact: Artifact) -> tuple[int, list[str]]:
    """The number of raw files that an artifact was read from, and a line for each that is missing or has changed."""
    from components.curation.reading.locations import sha256_at
    from components.curation.reading.sources import locate

    files = {row["uri"]: row["sha256"] for row in _raw_rows(store, artifact)}
    differences = []
    for uri, expected in files.items():
        try:
            same = sha256_at(locate(uri)) == expected
        except (OSError, SourceError, StoreError) as error:
            differences.append(f"raw {uri}: {error}")
        else:
            differences += [] if same else [f"raw {uri}: sha256 differs from what was read"]
    return len(files), differences


def _raw_rows(store: ArtifactStore, artifact: Artifact) -> list[Tree]:
    if RAW not in {record.path for record in store.manifest(artifact.uri).files}:
        return []
    import pyarrow.parquet as pq

    rows: list[Tree] = pq.read_table(store.local(artifact, only=(RAW,)) / RAW).to_pylist()
    return rows


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
