"""Which training state a run branches from, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Artifact, Manifest, TrainingOutcome
from components.errors import ConfigError
from components.ports import LocalArtifactStore
from components.ports.store import records_of
from components.pretraining.config import PretrainingConfig
from components.training.checkpoints.files import FORMAT, write_manifest
from components.training.config import CheckpointConfig, TrainingConfig
from infra.caching import as_json
from infra.run_events import RunEvents
from infra.settings import Settings, settings
from infra.storage import ObjectArtifactStore
from tests.infra.s3_server import BUCKET, bucket
from workflows.steps.branching import branch_figures, find_branch, find_branch_on_cluster, keep_states, require_same_data
from workflows.steps.journal import Journal, open_journal
from workflows.steps.run import Branch, Order, Run, RunOptions
from workflows.steps.work import Work

INPUTS = {name: Artifact(uri=name, digest=64 * name[0]) for name in ("plan", "token_shards", "tokenizer")}
KEY = 64 * "a"


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return settings(str(tmp_path / "home"))


def run_of(home: Settings, journal: Journal, branch: Branch | None = None) -> Run:
    own = {"home": str(home.home), "directory": str(journal.directory)}
    return Run(**own, tracking_uri="", mlflow_run="", options=RunOptions(branch=branch))


@pytest.fixture
def finished(home: Settings, tmp_path: Path) -> Journal:
    """A run whose pretraining has kept its state after 160 of 200 steps."""
    journal, store = open_journal(home.runs), LocalArtifactStore(home.home)
    config = PretrainingConfig(training=TrainingConfig(checkpoints=CheckpointConfig(permanent=(0.8, 1.0))))
    checkpoint = tmp_path / "step-00000160"
    checkpoint.mkdir()
    (checkpoint / "rank-00000.safetensors").write_bytes(b"weights")
    (checkpoint / "history.jsonl").write_text(json.dumps({"step": 160, "tokens": 1600}) + "\n")
    write_manifest(checkpoint, {"format": FORMAT, "step": 160, "identity": {"steps": 200}, "goodput": {}})
    order = Order(step="pretraining", cache_key=KEY, code_digest="", run=run_of(home, journal))
    inputs = {**INPUTS, "trunk": Artifact(uri="trunk", digest=64 * "t")}
    keep_states(Work(order, tmp_path / "output", "", inputs), config, [checkpoint])
    with store.writing("pretraining") as output:
        (output / "model.safetensors").write_bytes(b"model")
        TrainingOutcome(steps=200, tokens=2000, loss=3.0).write(output)
        manifest = Manifest(
            step="pretraining",
            kind="Checkpoint",
            cache_key=KEY,
            config=as_json(config),
            code_digest="",
            environment_digest="",
            inputs=INPUTS,
            files=records_of(output),
            figures={"steps": 200},
        )
        base = store.publish(output, manifest)
    journal.write("made", step="pretraining", **base.pinned, figures={})
    return journal


@pytest.mark.parametrize("at", ["80%", "0.8", "79.6%"])
def test_a_state_is_found_by_the_run_and_the_share_and_knows_what_it_was_made_from(
    home: Settings, finished: Journal, at: str
) -> None:
    branch = find_branch(home, "latest", at)
    manifest = LocalArtifactStore(home.home).manifest(branch.state.uri)
    assert branch.run == finished.name
    assert (manifest.inputs, manifest.figures) == (INPUTS, {"step": 160, "steps": 200, "tokens": 1600})


def test_a_run_that_reused_the_base_model_has_its_states_too(home: Settings, finished: Journal) -> None:
    reusing = Journal(home.runs / "20990101-000000-0000")
    reusing.write("cached", **{name: value for name, value in finished.events()[-1].items() if name not in {"event", "time"}})
    assert find_branch(home, reusing.name, "80%").state == find_branch(home, finished.name, "80%").state


@pytest.mark.parametrize("latest", [False, True])
def test_a_driver_on_a_cluster_finds_the_same_state_by_what_the_parent_s_pods_have_left(
    home: Settings, finished: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, latest: bool
) -> None:
    with bucket(tmp_path / "log") as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        root = f"s3://{BUCKET}/longrun"
        store, here = ObjectArtifactStore(root=root, copies=tmp_path / "pod", shared=tmp_path / "pod", endpoint=url), home.store
        for artifact in list(here.artifacts()):
            copy = tmp_path / artifact.digest
            shutil.copytree(here.local(artifact), copy)
            (copy / "manifest.json").unlink()
            store.publish(copy, here.manifest(artifact.uri))
        RunEvents(root).offer(finished.name, "pod", finished.path.read_bytes())
        RunEvents(root).offer("20990101-000000-0000", "pod", b'{"event": "run", "time": 1}\n')
        pod = replace(home, home=tmp_path / "driver", artifact_root=root)
        parents = ["20990101-000000-0000", finished.name] if latest else [finished.name]
        branch = find_branch_on_cluster(pod, parents, "80%")
        assert branch == find_branch(home, finished.name, "80%")
        with pytest.raises(ConfigError, match=r"no training state at 0\.5"):
            find_branch_on_cluster(pod, parents, "50%")
        with pytest.raises(ConfigError, match="run 20990101-000000-0000 has not finished pretraining on this cluster"):
            find_branch_on_cluster(pod, parents[:1] if latest else ["20990101-000000-0000"], "80%")


def test_a_share_of_which_nothing_was_kept_is_refused_with_those_that_there_are(home: Settings, finished: Journal) -> None:
    with pytest.raises(
        ConfigError,
        match=r"no training state at 0\.5 of its steps; it has them at: 0\.8; .*pretraining\.training\.",
    ):
        find_branch(home, finished.name, "50%")


@pytest.mark.parametrize("at", ["", "%", "0", "101%", "-80%", "eighty", "80%%"])
def test_what_is_no_share_is_refused(home: Settings, finished: Journal, at: str) -> None:
    with pytest.raises(ConfigError, match="allowed: a fraction of the training, such as 80%"):
        find_branch(home, finished.name, at)


def test_a_run_that_has_not_finished_pretraining_is_refused(home: Settings) -> None:
    journal = open_journal(home.runs)
    with pytest.raises(ConfigError, match=f"run {journal.name} has not finished pretraining"):
        find_branch(home, journal.name, "80%")
    with pytest.raises(ConfigError, match="matches 0 runs"):
        find_branch(home, "1999", "80%")


def test_latest_is_the_newest_run_that_has_finished_pretraining(home: Settings, finished: Journal) -> None:
    Journal(home.runs / "20990101-000000-0000").write("run")
    assert find_branch(home, "latest", "80%").run == finished.name


def test_a_branch_says_its_parent_and_needs_the_same_data(home: Settings, finished: Journal) -> None:
    branch = find_branch(home, finished.name, "80%")
    run: Any = run_of(home, finished, branch)
    expected = {"step": 160, "training_state": branch.state.content}
    assert branch_figures(run) == {"branched_from": expected}
    require_same_data(run, token_shards=INPUTS["token_shards"], tokenizer=INPUTS["tokenizer"])
    other = replace(INPUTS["token_shards"], content=64 * "0")
    with pytest.raises(ConfigError, match=r"token shards 000000000000 differs: run .* used tttttttttttt"):
        require_same_data(run, token_shards=other)


def test_a_run_without_a_branch_has_no_parent_and_any_data(home: Settings, finished: Journal) -> None:
    run = run_of(home, finished)
    assert branch_figures(run) == {}
    require_same_data(run, token_shards=INPUTS["plan"])
