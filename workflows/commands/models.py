"""`longrun models`, `lineage` and `verify`: list registered models, trace what they were made from, and verify their files."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.artifacts import Artifact, Lineage, LineageNode, Manifest
from components.errors import ConfigError, DamagedArtifact, LongrunError
from components.files import JSON
from components.ports import ArtifactStore
from infra.mlflow import registry
from infra.settings import Settings
from infra.urls import HERE
from workflows.steps.lineage import lineage_of, raw_differences, walk


def list_models(settings: Settings) -> list[Mapping[str, Any]]:
    """Every registered version with its aliases, digests and location, as JSON values."""
    return [
        {
            "model": str(version),
            "aliases": list(version.aliases),
            "digest": version.artifact.digest,
            "content": version.artifact.content,
            "place": f"{settings.home if settings.artifact_root == HERE else settings.artifact_root}/{version.artifact.uri}",
        }
        for version in versions(settings)
    ]


def versions(settings: Settings) -> list[registry.Version]:
    """Every registered version; empty if the home has no model registry."""
    # MLflow would create its database if the home has none.
    return registry.models(settings.tracking_uri) if has_registry(settings) else []


def has_registry(settings: Settings) -> bool:
    """Whether the home has a model registry: a local one, or one on an MLflow server."""
    return settings.mlflow_uri != HERE or (settings.home / "mlflow" / "mlflow.db").is_file()


@dataclass(frozen=True)
class ModelLineage:
    """A registered version, and all artifacts that it was made from."""

    version: registry.Version
    lineage: Lineage

    def as_json(self) -> dict[str, JSON]:
        """As JSON values: the version's name and aliases, and each artifact once."""
        return {"model": str(self.version), "aliases": list(self.version.aliases), **json.loads(self.lineage.to_json())}


def model_lineage(settings: Settings, model: str) -> ModelLineage:
    """The lineage of a model, from its registered version down to the raw sources."""
    version = resolved(settings, model)
    return ModelLineage(version, lineage_of(settings.store, version.artifact))


def resolved(settings: Settings, model: str) -> registry.Version:
    """The version that NAME, NAME/VERSION or NAME@ALIAS refers to. Raises `ConfigError` if there is none."""
    if not has_registry(settings):
        raise ConfigError(f"home {settings.home} has no registered models; make one with: longrun run")
    return registry.resolve(settings.tracking_uri, model)


def lineage_lines(model: ModelLineage) -> list[str]:
    """A lineage as an indented tree. Each artifact is printed in full once, and later occurrences refer to it."""
    root = model.lineage.artifacts[model.lineage.root]
    title = f"{model.version} ({', '.join(model.version.aliases) or 'no alias'})"
    return [title, *_lines_of(model.lineage, root, "", {model.lineage.root})]


def _lines_of(lineage: Lineage, node: LineageNode, indent: str, seen: set[str]) -> list[str]:
    lines = [f"{indent}{_line_of(node)}  code {node.code_digest[:12]}", f"{indent}    config {_compact(node.config)}"]
    if node.figures:
        lines.append(f"{indent}    figures {_compact(node.figures)}")
    lines += [f"{indent}    raw {raw.source}: {raw.files} files, {raw.bytes} bytes, sha256 {raw.sha256[:12]}" for raw in node.raw]
    for digest in node.inputs.values():
        inner = lineage.artifacts[digest]
        if digest in seen:
            lines.append(f"{indent}  {_line_of(inner)}  (see above)")
        else:
            seen.add(digest)
            lines += _lines_of(lineage, inner, indent + "  ", seen)
    return lines


def _line_of(node: LineageNode) -> str:
    content = f"  content {node.content_digest[:12]}" if node.content_digest != node.evidence_digest else ""
    return f"{node.step}  {node.kind}  {node.evidence_digest[:12]}{content}"


def _compact(values: Mapping[str, object], max_characters: int = 160) -> str:
    text = ", ".join(f"{name}={value}" for name, value in values.items())
    return text if len(text) <= max_characters else f"{text[:max_characters]}… (--json shows all)"


@dataclass
class Verification:
    """The result of `verify_model`: how many files were hashed, and what differs."""

    artifacts: int = 0
    files: int = 0
    raw_files: int = 0
    attempts: int = 0
    """Later attempts that made an artifact again with equal content; their manifests were verified."""
    differences: dict[str, list[str]] = field(default_factory=dict)
    """What differs, by artifact URI."""

    def as_json(self) -> dict[str, JSON]:
        """As JSON values."""
        counts = {"artifacts": self.artifacts, "files": self.files, "raw_files": self.raw_files}
        counts |= {"attempts": self.attempts}
        return {**counts, "differences": self.differences}


def verify_model(settings: Settings, model: str) -> Verification:
    """Hash every file of every artifact that a model was made from, and every raw file, and compare with the manifests."""
    store, verified = settings.store, Verification()
    broken: dict[str, str] = {}
    for artifact, manifest in walk(store, [resolved(settings, model).artifact], broken):
        verified.artifacts += 1
        verified.files += len(manifest.files)
        if differences := _differences(store, artifact, manifest, verified):
            verified.differences[artifact.uri] = differences
    verified.artifacts += len(broken)
    verified.differences |= {uri: [why] for uri, why in broken.items()}
    return verified


def _differences(store: ArtifactStore, artifact: Artifact, manifest: Manifest, verified: Verification) -> list[str]:
    try:
        differences = store.differences(artifact)
        verified.attempts += len(store.attempts(artifact))
    except LongrunError as error:
        return [str(error)]
    # A damaged list of raw files is already among the differences.
    with contextlib.suppress(DamagedArtifact):
        counted, changed = raw_differences(store, artifact, manifest)
        verified.raw_files += counted
        differences += changed
    return differences
