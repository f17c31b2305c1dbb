"""`longrun models`, `lineage` and `verify`: registered models, what they were made from, and whether it is unchanged."""

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
    """Every registered version."""
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
    """Every registered version; none where the home has no registry."""
    # Asking MLflow would create the database of a home that has none.
    return registry.models(settings.tracking_uri) if has_registry(settings) else []


def has_registry(settings: Settings) -> bool:
    """Whether there is a registry to ask."""
    return settings.mlflow_uri != HERE or (settings.home / "mlflow" / "mlflow.db").is_file()


@dataclass(frozen=True)
class ModelLineage:
    """A registered version, and what it was made from."""

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
    """The version that NAME, NAME/VERSION or NAME@ALIAS means. Raises `ConfigError` for none."""
    if not has_registry(settings):
        raise ConfigError(f"home {settings.home} has no registered models; make one with: longrun run")
    return registry.resolve(settings.tracking_uri, model)


def lineage_lines(model: ModelLineage) -> list[str]:
    """A lineage as an indented tree, in which each artifact stands once; where it is an input again, its line says so."""
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
            lines.append(f"{indent}  {_line_of(inner)}  … see above")
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
    """How much was hashed again, and what differs, by artifact."""

    artifacts: int = 0
    files: int = 0
    raw_files: int = 0
    attempts: int = 0
    """Times that an artifact was made again with equal content: their manifests were read, and nothing of them is wrong."""
    differences: dict[str, list[str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, JSON]:
        """As JSON values."""
        counts = {"artifacts": self.artifacts, "files": self.files, "raw_files": self.raw_files}
        counts |= {"attempts": self.attempts}
        return {**counts, "differences": self.differences}


def verify_model(settings: Settings, model: str) -> Verification:
    """Hash every artifact below a model and every raw file it came from."""
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
    # a damaged list of raw files is among the differences already
    with contextlib.suppress(DamagedArtifact):
        counted, changed = raw_differences(store, artifact, manifest)
        verified.raw_files += counted
        differences += changed
    return differences
