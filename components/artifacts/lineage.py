"""The lineage of an artifact: a graph of everything that it was made from, down to the raw files."""

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from components.artifacts.json_file import OPTIONAL, JsonFile
from components.artifacts.records import CheckReport
from components.files import JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class RawSource:
    """The raw files of one source that an artifact was made from."""

    source: str
    files: int
    bytes: int
    sha256: str
    """sha256 over the sorted sha256 of the files, in hex."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LineageNode:
    """One artifact of a lineage, with the entries of its manifest that say how it was made."""

    step: str
    kind: str
    content_digest: str
    """sha256 over its content, in hex; the evidence digest if a longrun before 0.5 made it."""
    evidence_digest: str
    """sha256 over its whole manifest, in hex."""
    uri: str = field(default="", metadata=OPTIONAL)
    """Its directory, relative to the root of the store; empty in the lineage that is stored with a model."""
    config: Mapping[str, object]
    code_digest: str
    environment_digest: str
    figures: Mapping[str, object]
    checks: tuple[CheckReport, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Evidence digests of its inputs, by the names of the step's inputs."""
    raw: tuple[RawSource, ...] = ()
    """The raw files that it was made from, by source; empty if it was made only from other artifacts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage(JsonFile):
    """An artifact and everything that it was made from."""

    NAME: ClassVar[str] = "lineage.json"
    STEP: ClassVar[str] = "the step registration"
    VERSION: ClassVar[int] = 2

    root: str
    """Evidence digest of the artifact whose lineage this is."""
    artifacts: Mapping[str, LineageNode]
    """All artifacts of the lineage by evidence digest."""

    def __post_init__(self) -> None:
        needed = {self.root, *(digest for node in self.artifacts.values() for digest in node.inputs.values())}
        if missing := sorted(needed - self.artifacts.keys()):
            raise ValueError(f"artifact {missing[0][:12]} is an input but is not listed")
        for digest, node in self.artifacts.items():
            if node.evidence_digest != digest:
                raise ValueError(f"artifact {digest[:12]} has the evidence digest {node.evidence_digest[:12]}")

    def nodes(self) -> Iterator[LineageNode]:
        """Every artifact once, in breadth-first order: the root, its inputs, then the inputs of those."""
        waiting, seen = deque([self.root]), set[str]()
        while waiting:
            digest = waiting.popleft()
            if digest not in seen:
                seen.add(digest)
                yield self.artifacts[digest]
                waiting.extend(self.artifacts[digest].inputs.values())

    def without_uris(self) -> Self:
        """A copy without the URIs of the artifacts, whose digests identify them wherever they are stored."""
        return dataclasses.replace(
            self, artifacts={digest: dataclasses.replace(node, uri="") for digest, node in self.artifacts.items()}
        )

    @classmethod
    def upgraded(cls, raw: dict[str, Any], version: int) -> dict[str, Any]:
        """Convert format 1, a tree that repeats an artifact below each artifact that was made from it."""
        return raw if version > 1 else {"root": raw.get("digest"), "artifacts": _artifacts_of_tree(raw)}


def _artifacts_of_tree(tree: Mapping[str, JSON]) -> dict[str, JSON]:
    artifacts: dict[str, JSON] = {}
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if not (isinstance(node, dict) and isinstance(node.get("digest"), str) and isinstance(node.get("inputs"), dict)):
            raise ValueError("neither a graph (format 2) nor a tree (format 1) of artifacts")
        digest, inputs = node["digest"], node["inputs"]
        waiting += inputs.values()
        fields = {name: value for name, value in node.items() if name != "digest"}
        names = {name: value.get("digest") for name, value in inputs.items() if isinstance(value, dict)}
        artifacts[digest] = {**fields, "content_digest": digest, "evidence_digest": digest, "inputs": names}
    return artifacts
