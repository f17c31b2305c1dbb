"""Follows the manifests of artifacts from a model to its raw sources."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from components.artifacts import Artifact, Lineage, LineageNode, Manifest, RawSource
from components.errors import LongrunError, SourceError, StoreError
from components.ports import ArtifactStore
from components.ports.store import damaged, wrong_digest
from components.raw_files import LOCATIONS, RAW, RawRecord, read_raw


class Manifests(Protocol):
    """Where the manifests of artifacts are read, such as a store."""

    def manifest(self, uri: str) -> Manifest:
        """The manifest of an artifact. Raises `MissingArtifact`, `DamagedArtifact` or `NewerFormat`."""
        ...


def walk(
    store: Manifests, roots: Iterable[Artifact], broken: dict[str, str] | None = None
) -> Iterator[tuple[Artifact, Manifest]]:
    """Each artifact of `roots`, and everything that they were made from, once, with its manifest; artifacts before their inputs.

    Raises:
        MissingArtifact, DamagedArtifact, NewerFormat, StoreError: a manifest cannot be read; the message names it and the
            artifact that was made from it. If `broken` is given, the message is stored there by URI instead, and the artifact is
            skipped.
    """
    waiting, seen = deque((root, "") for root in roots), set[str]()
    while waiting:
        artifact, needed_by = waiting.popleft()
        if artifact.digest in seen:
            continue
        seen.add(artifact.digest)
        try:
            manifest = store.manifest(artifact.uri)
        except LongrunError as error:
            if broken is None:
                raise type(error)(f"{error}{needed_by}") from error
            broken[artifact.uri] = f"{error}{needed_by}"
            continue
        yield artifact, manifest
        waiting.extend((inner, f" ({name} of {artifact.uri})") for name, inner in manifest.inputs.items())


def lineage_of(store: ArtifactStore, root: Artifact) -> Lineage:
    """The lineage of an artifact: itself and everything that it was made from.

    Raises:
        ArtifactError: a manifest cannot be read, or an artifact differs from the one that was used.
    """
    nodes = {}
    for artifact, manifest in walk(store, [root]):
        if wrong := wrong_digest(artifact, manifest):
            raise damaged(artifact.uri, wrong, manifest)
        nodes[artifact.digest] = _node(store, artifact, manifest)
    return Lineage(root=root.digest, artifacts=nodes)


def _node(store: ArtifactStore, artifact: Artifact, manifest: Manifest) -> LineageNode:
    return LineageNode(
        step=manifest.step,
        kind=manifest.kind,
        evidence_digest=artifact.digest,
        content_digest=manifest.content_digest,
        uri=artifact.uri,
        config=manifest.config,
        code_digest=manifest.code_digest,
        environment_digest=manifest.environment_digest,
        figures=manifest.figures,
        checks=manifest.checks,
        inputs={name: inner.digest for name, inner in manifest.inputs.items()},
        raw=_raw_sources(store, artifact, manifest),
    )


def _raw_sources(store: ArtifactStore, artifact: Artifact, manifest: Manifest) -> tuple[RawSource, ...]:
    """The raw sources that an artifact was read from, by name; empty if it was made only from other artifacts."""
    return tuple(raw_source(source, files) for source, files in raw_files(store, artifact, manifest).items())


def raw_files(store: ArtifactStore, artifact: Artifact, manifest: Manifest) -> dict[str, list[RawRecord]]:
    """The raw files that an artifact was read from, by source; empty if it was made only from other artifacts."""
    sources: dict[str, list[RawRecord]] = {}
    for record in _raw_records(store, artifact, manifest):
        sources.setdefault(record.source, []).append(record)
    return dict(sorted(sources.items()))


def raw_source(source: str, files: Sequence[RawRecord]) -> RawSource:
    """The raw files of one source together."""
    return RawSource(
        source=source,
        files=len(files),
        bytes=sum(file.bytes for file in files),
        sha256=hashlib.sha256("".join(sorted(file.sha256 for file in files)).encode()).hexdigest(),
    )


def raw_differences(store: ArtifactStore, artifact: Artifact, manifest: Manifest) -> tuple[int, list[str]]:
    """The number of raw files that an artifact was read from, and one line for each that is missing or has changed."""
    from components.curation.reading.sources import locate
    from components.locations import sha256_at

    records = _raw_records(store, artifact, manifest)
    differences = []
    for record in records:
        try:
            same = sha256_at(locate(record.uri)) == record.sha256
        except (OSError, SourceError, StoreError) as error:
            differences.append(f"raw file {record.name}, read from {record.uri}: {error}")
        else:
            differences += [] if same else [f"raw file {record.name} at {record.uri} has changed: its sha256 differs"]
    return len(records), differences


def _raw_records(store: ArtifactStore, artifact: Artifact, manifest: Manifest) -> list[RawRecord]:
    paths = {record.path for record in manifest.files} & {RAW, LOCATIONS}
    if RAW not in paths:
        return []
    directory = store.local(artifact, only=tuple(sorted(paths)))
    return read_raw((directory / RAW).read_bytes(), (directory / LOCATIONS).read_bytes() if LOCATIONS in paths else None)
