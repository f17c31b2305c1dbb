"""`longrun models`, `lineage` and `verify`: list and find models, trace what they were made from, and verify their files."""

import contextlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from components.artifacts import MANIFEST, Artifact, Checkpoint, Lineage, LineageNode, Manifest, RegisteredModel
from components.errors import ConfigError, DamagedArtifact, LongrunError, MissingArtifact, unknown
from components.files import JSON
from components.model.configuration import CONFIG
from components.ports import ArtifactStore, LocalArtifactStore
from infra.mlflow import registry
from infra.settings import Settings
from infra.storage import store_at
from infra.urls import HERE
from workflows.steps.journal import DONE
from workflows.steps.journals import LATEST, journal_of
from workflows.steps.lineage import lineage_of, raw_differences, walk
from workflows.steps.stages import STAGES


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


MODEL_STEPS = {"base": "pretraining", "pretraining": "pretraining", "sft": "sft", "dpo": "dpo", "registration": "registration"}
"""Names of the models of a run, and the steps that make them, in the order of the chain."""

_ARTIFACTS = "artifacts/"
_RUN = re.compile(r"r?\d{8}(-[\da-f-]*)?")
_PATH = ("/", "./", "../", "~")


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """What a command's MODEL refers to: an artifact in a store, or a directory that is none."""

    title: str
    aliases: tuple[str, ...] = ()
    """Aliases of a registered version."""
    store: ArtifactStore | None = None
    artifact: Artifact | None = None
    """The artifact in `store`; None: only a directory."""
    path: Path | None = None
    """The directory, if it is no artifact."""

    def directory(self, only: Sequence[str]) -> Path:
        """A local directory with the files that match the patterns `only`. Raises `ConfigError` if it has no model."""
        if self.path is not None:
            return self.path
        store, artifact = self.in_store()
        kind = store.manifest(artifact.uri).kind
        if kind not in _KINDS:
            raise ConfigError(f"{self.title} is a {kind}; allowed: a model ({' or '.join(_KINDS)})")
        return store.local(artifact, only=only)

    def in_store(self) -> tuple[ArtifactStore, Artifact]:
        """The store and the artifact. Raises `ConfigError` for a directory without a manifest."""
        if self.store is None or self.artifact is None:
            raise ConfigError(f"{self.title} has no {MANIFEST} in a store, so what it was made from is not known")
        return self.store, self.artifact


_KINDS = (Checkpoint.__name__, RegisteredModel.__name__)


@dataclass(frozen=True)
class ModelLineage:
    """A model, and all artifacts that it was made from."""

    model: Model
    lineage: Lineage

    def as_json(self) -> dict[str, JSON]:
        """As JSON values: the model's name and aliases, and each artifact once."""
        return {"model": self.model.title, "aliases": list(self.model.aliases), **json.loads(self.lineage.to_json())}


def model_lineage(settings: Settings, model: str) -> ModelLineage:
    """The lineage of a model, or of another artifact, down to the raw sources."""
    named = find_model(settings, model)
    if named.path is not None and (named.path / Lineage.NAME).is_file():
        return ModelLineage(named, Lineage.read(named.path))
    return ModelLineage(named, lineage_of(*named.in_store()))


def find_model(settings: Settings, name: str) -> Model:
    """The model that a user names.

    - `NAME`, `NAME/VERSION` or `NAME@ALIAS`: a registered version
    - `RUN`: the last model of a run, which is an id, the start of one, or `latest`
    - `NAME:STEP` or `RUN:STEP`, with a step such as `base`, `sft` or `dpo`: what that step made
    - `artifacts/STEP/KEY/CONTENT`, also below the URL of a bucket: an artifact
    - a path with a slash at its start, `./`, `../` or `~`; also another path that is a directory with a model

    Raises:
        ConfigError: it has another form, or the run has no such step.
        MissingArtifact: there is no such model, version, artifact or directory.
        StoreError, TrackingError: the bucket or MLflow cannot be reached.
    """
    if name.startswith(_PATH):
        return _in_directory(Path(name).expanduser().absolute())
    if "://" in name or name.startswith(_ARTIFACTS):
        return _at_uri(settings, name.rstrip("/"))
    owner, _, step = name.partition(":")
    if owner == LATEST or _RUN.fullmatch(owner):
        return _of_run(settings, owner, step)
    if Path(name).joinpath(CONFIG).is_file() and not _is_registered(settings, owner):
        return _in_directory(Path(name).absolute())
    version = _version(settings, owner)
    model = Model(title=str(version), aliases=version.aliases, store=settings.store, artifact=version.artifact)
    return _made_from(model, step) if step else model


def _version(settings: Settings, name: str) -> registry.Version:
    if not has_registry(settings):
        hint = "make one with: longrun run; the models of a run are named RUN:STEP, such as latest:base"
        raise ConfigError(f"home {settings.home} has no registered models; {hint}")
    return registry.resolve(settings.tracking_uri, name)


def _is_registered(settings: Settings, name: str) -> bool:
    return any(name.partition("@")[0].partition("/")[0] == version.name for version in versions(settings))


def _of_run(settings: Settings, run: str, step: str) -> Model:
    """The artifact of a step of a run; without a step, the last model that the run made or reused."""
    wanted, known = MODEL_STEPS.get(step, step), {*MODEL_STEPS, *itertools.chain.from_iterable(STAGES.values())}
    if step and step not in known:
        raise ConfigError(f"{run}:{step}: {unknown('step', step, sorted(known))}")
    journal = journal_of(settings, run.removeprefix("r"), (wanted,) if wanted else tuple(MODEL_STEPS.values()))
    done = {event["step"] for event in journal.events() if event["event"] in DONE}
    models = [model for model in dict.fromkeys(MODEL_STEPS.values()) if model in done]
    if step and wanted not in done:
        raise ConfigError(
            f"run {journal.name} has not finished step {wanted}; it has finished: {', '.join(sorted(done)) or 'none'}"
        )
    if not step and not models:
        raise ConfigError(f"run {journal.name} has made no model yet; see: longrun logs {journal.name}")
    last = wanted or models[-1]
    return Model(title=f"{journal.name}:{last}", store=settings.store, artifact=journal.artifact(last))


def _made_from(model: Model, step: str) -> Model:
    """The nearest artifact of a step among those that a model was made from, itself included."""
    store, root = model.in_store()
    wanted, steps = MODEL_STEPS.get(step, step), dict[str, Artifact]()
    # what is missing elsewhere in the lineage does not matter here
    for artifact, manifest in walk(store, [root], broken={}):
        steps.setdefault(manifest.step, artifact)
    if wanted not in steps:
        names = [*(name for name, made in MODEL_STEPS.items() if made in steps), *steps]
        raise ConfigError(f"{model.title}: {unknown('step', step, sorted(set(names)))}")
    return replace(model, title=f"{model.title}:{wanted}", aliases=(), artifact=steps[wanted])


def _at_uri(settings: Settings, uri: str) -> Model:
    root, separator, path = uri.rpartition(f"/{_ARTIFACTS}")
    if "://" in uri and not separator:
        raise ConfigError(f"{uri}: not the URI of an artifact; allowed: s3://…/{_ARTIFACTS}STEP/KEY/CONTENT")
    store = store_at(root, settings.copies) if separator else settings.store
    return _artifact_in(store, _ARTIFACTS + path if separator else uri, uri)


def _in_directory(path: Path) -> Model:
    """The artifact at a path in a store; else the directory, if it has a model or a lineage."""
    if path.parts[-4:-3] == (_ARTIFACTS.rstrip("/"),) and (path / MANIFEST).is_file():
        root = path.parents[3]
        return _artifact_in(LocalArtifactStore(root), path.relative_to(root).as_posix(), str(path))
    if not path.is_dir():
        raise MissingArtifact(f"{path}: no such directory; give the directory of a model")
    if not (path / CONFIG).is_file():
        raise ConfigError(f"{path}: no {CONFIG}; allowed: the directory of a model in Hugging Face's format, or of an artifact")
    return Model(title=str(path), path=path)


def _artifact_in(store: ArtifactStore, uri: str, title: str) -> Model:
    return Model(title=title, store=store, artifact=store.manifest(uri).at(uri))


def lineage_lines(model: ModelLineage) -> list[str]:
    """A lineage as an indented tree. Each artifact is printed in full once, and later occurrences refer to it."""
    root = model.lineage.artifacts[model.lineage.root]
    aliases = f" ({', '.join(model.model.aliases)})" if model.model.aliases else ""
    title = f"{model.model.title}{aliases}"
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
    store, root = find_model(settings, model).in_store()
    verified, broken = Verification(), dict[str, str]()
    for artifact, manifest in walk(store, [root], broken):
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
