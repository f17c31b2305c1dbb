"""What a cluster has, seen from this machine: each command that a run on it prints is run against a store and services.

The store is a real S3 server's, MLflow's registry is answered as its REST API answers; the keys are in a Secret of the cluster.
"""

import hashlib
import json
import os
import re
import shlex
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from components.artifacts import Checkpoint, Manifest
from components.errors import ClusterError, ConfigError
from components.ports.store import records_of
from infra.cluster.profiles import Profile, read_profile, write_profile
from infra.outside import STORE_KEYS
from infra.run_events import RunEvents
from infra.settings import settings
from infra.storage import ObjectArtifactStore
from tests.components.registration.conftest import SHAPE, tokenizer_directory
from tests.fake_cluster.flyte_service import FakeFlyte
from tests.fake_cluster.kubernetes_api import NAMESPACE, FakeCluster
from tests.infra.conftest import sample_profile
from tests.infra.s3_server import BUCKET, bucket
from tests.servers import client
from tests.workflows.commands.cluster.conftest import RUN, longrun, submitted
from workflows.cli.main import app
from workflows.commands.cluster.submission import parents_of
from workflows.recipe import from_json
from workflows.sweeps.sweep import Sweep, load_sweep

__all__ = ["tokenizer_directory"]

ROOT = f"s3://{BUCKET}/longrun"
MLFLOW = "/api/2.0/mlflow"
SECRETS = {"AWS_ACCESS_KEY_ID": "kubernetes:object-store/id", "AWS_SECRET_ACCESS_KEY": "kubernetes:object-store/key"}


@dataclass
class Site:
    """A cluster that has registered a model, and a home with its profile."""

    home: Path
    profile: Profile
    cluster: FakeCluster
    flyte: FakeFlyte
    store: str

    def longrun(self, *words: str) -> Result:
        """A command in this process."""
        return CliRunner().invoke(app, [*words, *([] if "--home" in words else ["--home", str(self.home)])])


def published(store: str, copies: Path, tokenizer: Path) -> Any:
    """A small model in the store, which a run with that id has made."""
    from components.model import huggingface
    from components.model.decoder import Decoder, initialise

    artifacts = ObjectArtifactStore(root=ROOT, copies=copies, shared=copies, endpoint=store)
    model = Decoder(SHAPE)
    initialise(model, std=0.1, seed=3)
    with artifacts.writing("registration") as output:
        output.rmdir()
        huggingface.save(model, tokenizer, output)
        manifest = Manifest(
            step="registration", kind=Checkpoint.__name__, cache_key=hashlib.sha256(b"k").hexdigest(), config={}, code_digest="c",
            environment_digest="e", inputs={}, files=records_of(output, Checkpoint), figures={},
        )  # fmt: skip
        return artifacts.publish(output, manifest)


def registry(artifact: Any) -> dict[str, Any]:
    """What MLflow's REST API answers about one registered model."""
    tags = {"longrun.digest": artifact.digest, "longrun.content": artifact.content, "longrun.uri": artifact.uri}
    times = {"creation_timestamp": 1, "last_updated_timestamp": 1}
    version = {
        "name": "tiny", "version": "1", **times, "source": "s", "run_id": "r", "status": "READY", "aliases": ["candidate"],
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }  # fmt: skip
    return {
        f"{MLFLOW}/registered-models/search": {"registered_models": [{"name": "tiny", **times}]},
        f"{MLFLOW}/model-versions/search": {"model_versions": [version]},
        f"{MLFLOW}/model-versions/get": {"model_version": version},
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, tokenizer_directory: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with (
        bucket(folder / "log") as store,
        FakeFlyte().serving() as flyte,
        FakeCluster().serving() as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AWS_ENDPOINT_URL_S3", store)
        patch.setenv("AWS_ALLOW_HTTP", "true")
        model = published(store, folder / "pod", tokenizer_directory)
        events = [
            {"event": "run", "time": 1.0, "recipe": "tiny"},
            {"event": "made", "time": 2.0, "step": "registration", **model.pinned, "figures": {}},
            {"event": "finished", "time": 3.0, "failed": False},
        ]
        RunEvents(ROOT).offer(RUN, "driver", "".join(json.dumps(event) + "\n" for event in events).encode())
        for name in (*STORE_KEYS, "AWS_ENDPOINT_URL_S3", "AWS_ALLOW_HTTP", "AWS_REGION"):
            patch.delenv(name, raising=False)
        keys = {"id": "key", "key": "secret"}
        cluster.answers[f"{NAMESPACE}/secrets/object-store"] = {
            "metadata": {"name": "object-store"},
            "data": {key: b64encode(value.encode()).decode() for key, value in keys.items()},
        }
        cluster.answers |= registry(model)
        cluster.write_kubeconfig(folder / "kubeconfig", "token")
        patch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
        profile = sample_profile(
            name="site", endpoint=flyte.url, image_registry=f"{cluster.host}/longrun", context="site", artifact_root=ROOT,
            object_store_endpoint="http://longrun-store:8333", mlflow_uri="http://longrun-mlflow:5000", secrets=SECRETS,
            outside={"object_store_endpoint": store, "mlflow_uri": cluster.url},
        )  # fmt: skip
        home = folder / "a home"
        write_profile(home, "site", profile)
        yield Site(home=home, profile=profile, cluster=cluster, flyte=flyte, store=store)


def printed(text: str) -> list[list[str]]:
    """The commands in what was printed, as a shell reads them."""
    called = f"  {shlex.quote(sys.executable)} -m workflows.cli "
    return [shlex.split(line.removeprefix(called), comments=True) for line in text.splitlines() if line.startswith(called)]


@pytest.mark.long
def test_every_command_that_a_run_on_a_cluster_prints_can_be_pasted(site: Site) -> None:
    done = longrun(site.home, "run", "tiny", "--on", "cluster")
    assert done.returncode == 0, done.stderr
    commands = printed(done.stdout)
    assert [words[0] for words in commands] == ["status", "logs", "cancel", "models", "lineage", "verify", "generate"]
    site.flyte.logs["a0"] = ["a line"]
    results = {words[0]: site.longrun(*words) for words in commands}
    assert {name: result.exception for name, result in results.items() if result.exit_code} == {}
    assert "tiny/1" in results["models"].output
    assert ROOT in results["models"].output
    assert "registration" in results["lineage"].output
    assert re.search(r"hashed 1 artifacts, \d+ files and 0 raw files: 0 differences", results["verify"].output)
    assert "class Config:" in results["generate"].output
    assert os.environ.get("AWS_ACCESS_KEY_ID") is None


def test_the_runs_of_a_cluster_are_listed_from_its_store(site: Site) -> None:
    (row,) = json.loads(site.longrun("runs", "--profile", "site", "--json").output)
    expected = {"run": RUN, "recipe": "tiny", "state": "finished", "made": 1, "cached": 0}
    assert {name: row[name] for name in expected} == expected


def test_copies_of_a_cluster_s_artifacts_leave_the_home_s_own_of_the_same_name_alone(site: Site) -> None:
    """A home and a cluster may have made the same content with records of their own."""
    (model,) = json.loads(site.longrun("models", "--profile", "site", "--json").output)
    own = site.home / model["place"].removeprefix(f"{ROOT}/")
    own.mkdir(parents=True)
    (own / "manifest.json").write_text("mine")
    assert site.longrun("generate", "tiny", "x", "--raw", "--max-new-tokens", "1", "--profile", "site").exit_code == 0
    assert (own / "manifest.json").read_text() == "mine"
    assert settings(str(site.home)).store.root == site.home  # type: ignore[attr-defined]


def test_a_cluster_that_is_not_reached_is_named_with_the_way_to_it(site: Site) -> None:
    write_profile(site.home, "closed", sample_profile(secrets=SECRETS, mlflow_uri="http://longrun-mlflow:5000"))
    result = site.longrun("models", "--profile", "closed")
    assert isinstance(result.exception, ClusterError)
    assert "port-forward service/longrun-mlflow 5000:5000" in str(result.exception)
    (site.home / "profiles" / "closed.toml").unlink()


def test_keys_that_were_read_are_in_no_file_of_the_home_and_in_no_output(site: Site) -> None:
    cluster = site.cluster.answers[f"{NAMESPACE}/secrets/object-store"]
    cluster["data"]["key"] = b64encode(b"planted-in-the-secret").decode()
    output = site.longrun("verify", "tiny", "--profile", "site").output
    kept = b"".join(path.read_bytes() for path in site.home.rglob("*") if path.is_file())
    assert "planted-in-the-secret" not in output
    assert b"planted-in-the-secret" not in kept


@pytest.mark.long
def test_a_run_takes_the_files_of_this_machine_along(site: Site, tmp_path: Path) -> None:
    (tmp_path / "talks.jsonl").write_text('{"messages": []}\n')
    option = ("--set", f'conversations.sources=["{tmp_path}/talks.jsonl"]')
    submitted(site.home, *option, "--upload", "--until", "curation")
    (request,) = site.flyte.requests("upload_inputs")[-1:]
    (recipe,) = [value.value.scalar.primitive.string_value for value in request.inputs.literals if value.name == "recipe"]
    digest = hashlib.sha256(b'{"messages": []}\n').hexdigest()
    assert json.loads(recipe)["conversations"]["sources"] == [f"{ROOT}/uploads/{digest}/talks.jsonl"]
    stored = client(site.store).get_object(Bucket=BUCKET, Key=f"longrun/uploads/{digest}/talks.jsonl")["Body"].read()
    assert stored == b'{"messages": []}\n'
    assert str(tmp_path) not in recipe


# From the start of another run, and sweeps


def inputs_of(site: Site) -> dict[str, Any]:
    """What the last submission has sent."""
    (request,) = site.flyte.requests("upload_inputs")[-1:]
    return {literal.name: literal.value for literal in request.inputs.literals}


def texts(value: Any) -> list[str]:
    return [inner.scalar.primitive.string_value for inner in value.collection.literals]


@pytest.mark.long
def test_a_run_begins_with_another_one_on_the_cluster_and_never_with_one_of_this_machine(site: Site) -> None:
    parent = submitted(site.home, "--until", "tokenizer")
    submitted(site.home, "--until", "tokenizer", "--from", parent[:-2], "--at", "50%")
    inputs = inputs_of(site)
    assert (texts(inputs["parents"]), inputs["at"].scalar.primitive.string_value) == ([parent], "50%")
    (site.home / "runs" / "20990101-000000-0000").mkdir()
    (site.home / "runs" / "20990101-000000-0000" / "events.jsonl").write_text('{"event": "run", "recipe": "tiny"}\n')
    profile = read_profile(site.home, "site")
    outside = settings(str(site.home))
    newest = parents_of(outside, "latest", "80%", profile).runs
    assert parent in newest
    assert newest == tuple(sorted(newest, reverse=True))
    assert parents_of(outside, "20200101-000000-abcd", "80%", profile).runs == ("20200101-000000-abcd",)
    with pytest.raises(ConfigError, match=r"the artifacts of run 20990101-000000-0000 are not in s3://.*--on cluster first"):
        parents_of(outside, "20990101", "80%", profile)
    with pytest.raises(ConfigError, match="allowed: a fraction of the training"):
        parents_of(outside, parent, "eighty", profile)


@pytest.mark.long
def test_a_sweep_is_submitted_as_it_is_and_says_how_its_law_is_read(site: Site) -> None:
    done = longrun(site.home, "sweep", "tiny-grid", "--on", "cluster")
    assert done.returncode == 0, done.stderr
    sent = from_json(inputs_of(site)["config"].scalar.primitive.string_value, Sweep)
    assert sent == load_sweep("tiny-grid")
    commands = printed(done.stdout)
    assert [words[0] for words in commands] == ["status", "logs", "cancel", "law"]
    result = site.longrun(*commands[-1])
    assert "matches 0 runs of profile site" in str(result.exception)
    assert "longrun-driver.sweep_on_cluster" in str(site.flyte.requests("create_run")[-1])
