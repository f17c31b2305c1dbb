"""`longrun models`, `lineage` and `verify`: registered models, what they were made from, and whether it is unchanged."""

import contextlib
from dataclasses import dataclass, field
from typing import Any

from components.errors import ConfigError, DamagedArtifact, LongrunError
from infra.mlflow import registry
from infra.settings import Settings
from infra.urls import HERE
from workflows.steps.lineage import Tree, raw_differences, tree


def list_models(settings: Settings) -> list[dict[str, Any]]:
    """Every registered version."""
    return [
        {
            "model": str(version),
            "aliases": list(version.aliases),
            "digest": version.artifact.digest,
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


def model_tree(settings: Settings, model: str) -> Tree:
    """The lineage of a model, from its registered version down to the raw sources."""
    version = resolved(settings, model)
    return {"model": str(version), "aliases": list(version.aliases), **tree(settings.store, version.artifact)}


def resolved(settings: Settings, model: str) -> registry.Version:
    """The version that NAME, NAME/VERSION or NAME@ALIAS means. Raises `ConfigError` for none."""
    if not has_registry(settings):
        raise ConfigError(f"home {settings.home} has no registered models; make one with: longrun run")
    return registry.resolve(settings.tracking_uri, model)


def lineage_lines(lineage: Tree) -> list[str]:
    """A lineage as an indented tree; an artifact that was shown already is repeated by its digest only."""
    title = f"{lineage['model']} ({', '.join(lineage['aliases']) or 'no alias'})"
    return [title, *_node_lines(lineage, "", set())]


def _node_lines(node: Tree, indent: str, seen: set[str]) -> list[str]:
    line = f"{indent}{node['step']}  {node['kind']}  {node['digest'][:12]}"
    if node["digest"] in seen:
        return [f"{line}  (above)"]
    seen.add(node["digest"])
    lines = [f"{line}  code {node['code_digest'][:12]}", f"{indent}    config {_compact(node['config'])}"]
    if node["figures"]:
        lines.append(f"{indent}    figures {_compact(node['figures'])}")
    lines += [_raw_line(raw, indent) for raw in node["raw"]]
    for child in node["inputs"].values():
        lines += _node_lines(child, indent + "  ", seen)
    return lines


def _raw_line(raw: Tree, indent: str) -> str:
    return f"{indent}    raw {raw['source']}: {raw['files']} files, {raw['bytes']} bytes, sha256 {raw['sha256'][:12]}"


def _compact(values: dict[str, Any], max_characters: int = 160) -> str:
    text = ", ".join(f"{name}={value}" for name, value in values.items())
    return text if len(text) <= max_characters else f"{text[:max_characters]}… (--json shows all)"


@dataclass
class Verification:
    """How much was hashed again, and what differs, by artifact."""

    artifacts: int = 0
    files: int = 0
    raw_files: int = 0
    differences: dict[str, list[str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        counts = {"artifacts": self.artifacts, "files": self.files, "raw_files": self.raw_files}
        return {**counts, "differences": self.differences}


def verify_model(settings: Settings, model: str) -> Verification:
    """Hash every artifact below a model and every raw file it came from."""
    store, verified = settings.store, Verification()
    waiting, seen = [resolved(settings, model).artifact], set()
    while waiting:
        artifact = waiting.pop()
        if artifact.digest in seen:
            continue
        seen.add(artifact.digest)
        verified.artifacts += 1
        try:
            manifest = store.manifest(artifact.uri)
            differences = store.differences(artifact)
        except LongrunError as error:
            verified.differences[artifact.uri] = [str(error)]
            continue
        verified.files += len(manifest.files)
        waiting.extend(manifest.inputs.values())
        # a damaged list of raw files is among the differences already
        with contextlib.suppress(DamagedArtifact):
            counted, changed = raw_differences(store, artifact)
            verified.raw_files += counted
            differences += changed
        if differences:
            verified.differences[artifact.uri] = differences
    return verified
