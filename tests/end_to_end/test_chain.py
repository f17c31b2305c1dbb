"""The whole chain by its command: run once, then reused, killed, damaged and asked about."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Manifest
from tests.end_to_end.commands import artifact_directory, as_json, command, copied, hashes, longrun, manifest, ran, steps
from tests.paths import ROOT

pytestmark = pytest.mark.ray

STEPS = 20
"""Steps of the chain, checks included."""


@pytest.fixture(scope="module")
def changed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished home after a run with another configuration."""
    home = copied(finished, tmp_path_factory.mktemp("changed"))
    ran("run", "tiny", "--set", "dpo.beta=0.2", "--until", "dpo", home=home)
    return home


def test_the_chain_ends_with_a_registered_candidate(finished: Path) -> None:
    (model,) = as_json("models", home=finished)
    assert (model["model"], model["aliases"]) == ("tiny/1", ["candidate"])
    assert len(steps(finished, "made")) == STEPS


def test_nothing_is_left_but_the_record_and_nothing_outside_the_home(finished: Path) -> None:
    remaining = {path.name for path in finished.iterdir()}
    assert remaining <= {
        "artifacts",
        "cache",
        "flyte",
        "lock",
        "locks",
        "mlflow",
        "preflight.json",
        "ray",
        "ray-train",
        "runs",
        "scratch",
        "writing",
    }
    assert not [*finished.glob("writing/*"), *finished.glob("ray/*"), *finished.glob("runs/*/lock")]
    assert [path.parent.name for path in finished.glob("locks/*/*")] == ["curation-index"]
    assert not list((finished.parent / "user").iterdir())
    assert not list((finished.parent / "temporary").iterdir())
    links = [path for path in Path("/tmp").glob("longrun-*") if path.is_symlink()]
    assert not [link for link in links if link.readlink().is_relative_to(finished)]


def test_a_rerun_in_a_moved_home_reuses_every_step_and_registers_nothing(copy: Path) -> None:
    ran("run", "tiny", home=copy)
    assert len(steps(copy, "cached")) == STEPS
    assert [model["model"] for model in as_json("models", home=copy)] == ["tiny/1"]


def test_a_changed_config_makes_its_step_and_what_depends_on_it_again(changed: Path) -> None:
    assert steps(changed, "made") == ["dpo", "check_dpo"]


def test_a_failed_check_stops_the_run_and_names_expectation_observation_and_page(copy: Path) -> None:
    ended = longrun("run", "tiny", "--set", "checks.corpus.min_validation_documents=100000", home=copy)
    assert ended.returncode == 3
    assert "check corpus failed" in ended.stderr
    assert "validation_documents" in ended.stderr
    page = Path(ended.stderr.rsplit("report: ", 1)[1].strip())
    assert page.suffix == ".html"
    assert page.is_file()
    assert steps(copy, "made") == ["check_corpus"]


def test_verify_finds_nothing_and_after_a_flipped_byte_names_the_file(copy: Path) -> None:
    assert as_json("verify", "tiny", home=copy)["differences"] == {}
    (weights,) = (copy / "artifacts" / "pretraining").glob("*/*/model.safetensors")
    with weights.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last[0] ^ 1]))
    ended = longrun("verify", "tiny", home=copy)
    assert ended.returncode == 1
    assert "model.safetensors: sha256 differs" in ended.stdout


def test_a_changed_file_is_refused_by_the_step_that_reads_it_with_the_way_out(copy: Path) -> None:
    (pairs,) = (copy / "artifacts" / "preference_pairs").glob("*/*/train.jsonl")
    pairs.write_text(pairs.read_text().replace("e", "a", 1))
    ended = longrun("run", "tiny", "--set", "dpo.beta=0.4", home=copy)
    assert ended.returncode == 1
    assert "train.jsonl: sha256 differs from the manifest; make it again with --fresh preference_pairs" in ended.stderr


def test_lineage_reaches_from_the_model_to_the_raw_sources(finished: Path) -> None:
    artifacts = as_json("lineage", "tiny@candidate", home=finished)["artifacts"]
    assert len(artifacts) == STEPS
    kinds = {artifact["kind"] for artifact in artifacts.values()}
    raw = [source for artifact in artifacts.values() for source in artifact["raw"]]
    assert {"RegisteredModel", "Checkpoint", "TrainingPlan", "TokenShards", "Tokenizer", "Corpus", "Check"} <= kinds
    assert {source["source"] for source in raw} == {f"{domain}-python-environment" for domain in ("code", "prose", "maths")}


def test_the_registered_model_answers(finished: Path) -> None:
    answer = as_json("generate", "tiny", "def main(", "--raw", "--max-new-tokens", "8", home=finished)
    assert answer["text"].startswith("def main(")


def test_gc_deletes_only_what_no_registered_model_needs(changed: Path, tmp_path: Path) -> None:
    home = copied(changed, tmp_path)
    assert longrun("run", "tiny", "--set", "scaling.law=deepseek", "--set", "seed=1", home=home).returncode == 2
    assert len(list(home.glob("artifacts/dpo/*"))) == 2
    ran("gc", "--yes", home=home)
    assert len(list(home.glob("artifacts/dpo/*"))) == 1
    ran("verify", "tiny", home=home)
    assert as_json("gc", "--yes", home=home) == []


@pytest.mark.slow
def test_a_run_killed_in_pretraining_goes_on_and_ends_with_the_same_weights(finished: Path, copy: Path) -> None:
    for step in ("pretraining", "training_state"):
        shutil.rmtree(copy / "artifacts" / step)
    words = command("run", "tiny", "--until", "pretraining", home=copy)
    with subprocess.Popen(words, cwd=copy.parent, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: any(copy.glob("scratch/pretraining/*/**/latest*")), process)
        os.kill(process.pid, signal.SIGKILL)
    assert not list(copy.glob("artifacts/pretraining/*"))
    ran("run", "tiny", "--until", "pretraining", home=copy)
    assert "pretraining" in steps(copy, "made")
    assert "curation" in steps(copy, "cached")
    assert hashes(copy, "pretraining") == hashes(finished, "pretraining")


@pytest.mark.slow
def test_a_branch_goes_on_from_another_runs_first_stage_and_says_so(copy: Path) -> None:
    longer = ("--until", "pretraining", "--set", f"pretraining.tokens={230 * 4 * 256}")
    words = ("run", "tiny", "--from", "latest", "--at", "80%", *longer)
    ran(*words, home=copy)
    paths = copy.glob("artifacts/training_state/*/*/manifest.json")
    states = [Manifest.from_bytes(path.read_bytes(), str(path)) for path in paths]
    (state,) = [state for state in states if state.figures["step"] == 160]
    made = manifest(copy, "pretraining")
    trunk = made.inputs["trunk"]
    assert (trunk.digest, trunk.content) == (state.digest, state.content_digest)
    assert made.figures["branched_from"] == {"step": 160, "training_state": state.content_digest}
    assert made.figures["steps"] == 230
    refused = longrun(*words, "--set", "pretraining.learning_rate=0.001", home=copy)
    assert "there plan.learning_rate is 0.004, not 0.001" in refused.stderr
    assert "no training state at 0.5" in longrun("run", "tiny", "--from", "latest", "--at", "50%", home=copy).stderr


@pytest.mark.slow
def test_pretraining_starts_with_a_model_that_is_there_and_its_tokenizer(copy: Path, tmp_path: Path) -> None:
    shutil.copytree(artifact_directory(copy, "pretraining"), tmp_path / "llama")
    first = hashes(copy, "pretraining")
    words = ("run", "tiny", "--until", "pretraining", "--set", f"pretraining.start={tmp_path / 'llama'}")
    ran(*words, home=copy)
    assert steps(copy, "made")[:2] == ["start", "tokenizer"]
    assert manifest(copy, "pretraining").inputs["start"].uri.startswith("artifacts/start/")
    read = hashes(copy, "pretraining")
    assert read["tokenizer.json"] == first["tokenizer.json"]
    assert read["model.safetensors"] != first["model.safetensors"]


def wait_for(condition: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_cached_runs_in_one_home_at_once_do_not_wait_for_each_other(copy: Path) -> None:
    both = [
        subprocess.Popen(command("run", "tiny", home=copy), cwd=copy.parent, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert not any("waiting:" in output for output in outputs)
    assert [model["model"] for model in as_json("models", home=copy)] == ["tiny/1"]


def test_flytes_own_command_runs_the_same_graph_and_reuses_it(copy: Path) -> None:
    words = ["run", "--local", "workflows/running.py", "run_by_name", "--recipe", "tiny", "--home", str(copy)]
    flyte = Path(sys.executable).with_name("flyte")
    ended = subprocess.run([str(flyte), *words], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(steps(copy, "cached")) == STEPS
