"""What the reading commands show: runs, models, lineage, verification, generation, and what nothing needs."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.artifacts import Artifact
from components.errors import ConfigError, DamagedArtifact, LongrunError
from components.ports import ArtifactStore, LocalArtifactStore
from infra import registry
from infra.settings import HERE, Settings
from infra.storage import store_at
from workflows.journal import Event, Journal, find_journal
from workflows.lineage import Tree, below, raw_differences, tree


def list_runs(settings: Settings) -> list[dict[str, Any]]:
    """Each run of the home with its recipe, state and what it made, oldest first."""
    directories = sorted(settings.runs.iterdir()) if settings.runs.is_dir() else []
    return [run_row(Journal(directory)) for directory in directories if (directory / "events.jsonl").is_file()]


def run_row(journal: Journal) -> dict[str, Any]:
    """A run's id, recipe and state, and how many steps it made and reused; of a run on a cluster only that it was sent there."""
    events = journal.events()
    kinds = [event["event"] for event in events]
    ended = next((event for event in reversed(events) if event["event"] == "finished"), None)
    sent = next((kind for kind in kinds if kind in {"submitted", "refused"}), "")
    state = sent or ("unfinished" if ended is None else "failed" if ended["failed"] else "finished")
    recipe = next((event["recipe"] for event in events if "recipe" in event), "?")
    return {"run": journal.name, "recipe": recipe, "state": state, "made": kinds.count("made"), "cached": kinds.count("cached")}


def event_lines(events: Sequence[Event]) -> list[str]:
    """One line an event: time, what happened, to which step, and why."""
    shown = ("step", "recipe", "model", "message", "why", "digest", "seconds")
    return [
        f"{time.strftime('%H:%M:%S', time.localtime(event['time']))}  {event['event']:<11}"
        + "  ".join(_fact(name, event[name]) for name in shown if name in event)
        for event in events
    ]


def _fact(name: str, value: Any) -> str:
    if name == "seconds":
        return f"{value:.1f} s"
    return str(value)[:12] if name == "digest" else str(value)


def read_log(journal: Journal, step: str) -> str:
    """What a step printed. Raises `ConfigError` where that run has no such log."""
    path = journal.log(step)
    if not path.is_file():
        known = ", ".join(sorted(log.stem for log in journal.directory.glob("*.log"))) or "none"
        raise ConfigError(f"run {journal.name} has no log of {step!r}; it has: {known}")
    return path.read_text(errors="replace")


def list_models(settings: Settings) -> list[dict[str, Any]]:
    """Every registered version."""
    return [
        {
            "model": str(version),
            "aliases": list(version.aliases),
            "digest": version.artifact.digest,
            "place": f"{settings.home if settings.artifact_root == HERE else settings.artifact_root}/{version.artifact.uri}",
        }
        for version in _versions(settings)
    ]


def _versions(settings: Settings) -> list[registry.Version]:
    # Asking MLflow would create the database of a home that has none.
    return registry.models(settings.tracking_uri) if _has_registry(settings) else []


def _has_registry(settings: Settings) -> bool:
    return settings.mlflow_uri != HERE or (settings.home / "mlflow" / "mlflow.db").is_file()


def _store(settings: Settings) -> ArtifactStore:
    return store_at(settings.artifact_root, settings.home)


def model_tree(settings: Settings, model: str) -> Tree:
    """The lineage of a model, from its registered version down to the raw sources."""
    version = _resolve(settings, model)
    found = tree(_store(settings), version.artifact)
    return {"model": str(version), "aliases": list(version.aliases), **found}


def _resolve(settings: Settings, model: str) -> registry.Version:
    if not _has_registry(settings):
        raise ConfigError(f"home {settings.home} has no registered models; make one with: longrun run")
    return registry.resolve(settings.tracking_uri, model)


def lineage_lines(found: Tree) -> list[str]:
    """A lineage as an indented tree; what was shown once is named again by its digest only."""
    title = f"{found['model']} ({', '.join(found['aliases']) or 'no alias'})"
    return [title, *_branch(found, "", set())]


def _branch(node: Tree, indent: str, seen: set[str]) -> list[str]:
    line = f"{indent}{node['step']}  {node['kind']}  {node['digest'][:12]}"
    if node["digest"] in seen:
        return [f"{line}  (above)"]
    seen.add(node["digest"])
    lines = [f"{line}  code {node['code_digest'][:12]}", f"{indent}    config {_compact(node['config'])}"]
    if node["figures"]:
        lines.append(f"{indent}    figures {_compact(node['figures'])}")
    lines += [_raw_line(raw, indent) for raw in node["raw"]]
    for child in node["inputs"].values():
        lines += _branch(child, indent + "  ", seen)
    return lines


def _raw_line(raw: Tree, indent: str) -> str:
    return f"{indent}    raw {raw['source']}: {raw['files']} files, {raw['bytes']} bytes, sha256 {raw['sha256'][:12]}"


def _compact(values: dict[str, Any], longest: int = 160) -> str:
    text = ", ".join(f"{name}={value}" for name, value in values.items())
    return text if len(text) <= longest else f"{text[:longest]}… (--json shows all)"


@dataclass
class Verification:
    """What was hashed again, and what differs."""

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
    store, found = _store(settings), Verification()
    waiting, seen = [_resolve(settings, model).artifact], set()
    while waiting:
        artifact = waiting.pop()
        if artifact.digest in seen:
            continue
        seen.add(artifact.digest)
        found.artifacts += 1
        try:
            manifest = store.manifest(artifact.uri)
            differences = store.differences(artifact)
        except LongrunError as error:
            found.differences[artifact.uri] = [str(error)]
            continue
        found.files += len(manifest.files)
        waiting.extend(manifest.inputs.values())
        # a damaged list of raw files is among the differences already
        with contextlib.suppress(DamagedArtifact):
            counted, changed = raw_differences(store, artifact)
            found.raw_files += counted
            differences += changed
        if differences:
            found.differences[artifact.uri] = differences
    return found


def answer(settings: Settings, model: str, prompt: str, *, raw: bool, max_new_tokens: int, temperature: float, seed: int) -> str:
    """What a registered model says to `prompt`, in the chat format or, with `raw`, as a continuation."""
    directory = _store(settings).local(_resolve(settings, model).artifact)
    from components.generation.sampling import generate
    from components.model.huggingface import load
    from components.tokenizer.chat import encode_prompt
    from components.tokenizer.text_tokenizer import TextTokenizer

    tokenizer = TextTokenizer.load(directory)
    turn = [{"role": "user", "content": prompt}]
    ids = [tokenizer.bos_id, *tokenizer.encode(prompt)] if raw else encode_prompt(tokenizer, turn)
    made = generate(
        load(directory),
        [ids],
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=1.0,
        stop_ids=(tokenizer.eos_id,),
        seed=seed,
    )
    text = tokenizer.decode([token for token in made[0] if token != tokenizer.eos_id])
    return prompt + text if raw else text.strip()


def unneeded(settings: Settings, keep: Sequence[str]) -> list[dict[str, Any]]:
    """Artifacts and scratch that neither a registered model nor a run in `keep` needs, with their bytes.

    Where artifacts are kept in a bucket, only copies in the home are meant: other homes may need what is in the bucket.
    """
    store, here = _store(settings), LocalArtifactStore(settings.home)
    roots = [version.artifact for version in _versions(settings)]
    for run in keep:
        roots += [
            Artifact(uri=event["uri"], digest=event["digest"])
            for event in find_journal(settings.runs, run).events()
            if event["event"] in {"made", "cached", "kept"}
        ]
    needed = {artifact.uri for root in roots for artifact in below(store, root)}
    directories = [settings.home / artifact.uri for artifact in here.artifacts() if artifact.uri not in needed]
    directories += sorted(settings.home.glob("scratch/*/*")) + sorted(settings.home.glob("writing/*"))
    return [{"uri": path.relative_to(settings.home).as_posix(), "bytes": _bytes(path)} for path in directories]


def delete_artifacts(settings: Settings, waste: Sequence[dict[str, Any]]) -> None:
    """Delete what `unneeded` listed, while no run is using the home."""
    from workflows.running import holding

    store = LocalArtifactStore(settings.home)
    with holding(settings.home):
        for entry in waste:
            store.delete(Artifact(uri=entry["uri"], digest=""))


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
