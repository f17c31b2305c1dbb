"""A whole run with artifacts on an S3 API and its record on an MLflow over Postgres, which are killed and come back meanwhile.

All are processes of their own. Secrets with a mark of their own are planted in the environment, and looked for afterwards.
"""

import contextlib
import io
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.artifacts import MANIFEST
from infra.mlflow import tracking
from infra.storage import ObjectArtifactStore
from tests import servers
from tests.end_to_end import commands

pytestmark = [pytest.mark.ray, pytest.mark.slow]

STEPS = 20
"""Steps of the chain, checks included."""

BUCKET, ROOT = "longrun", "s3://longrun/site"

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDKEY",
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    "AWS_SESSION_TOKEN": "planted-aws-session",
    "MLFLOW_TRACKING_PASSWORD": "planted-mlflow-password",
    "MLFLOW_TRACKING_TOKEN": "planted-mlflow-token",
    "HF_TOKEN": "hf_planted",
    "HUGGING_FACE_HUB_TOKEN": "hf_planted_old",
    "FLYTE_CLIENT_SECRET": "planted-flyte-secret",
    "FLYTE_API_KEY": "planted-flyte-key",
    "WANDB_API_KEY": "planted-wandb",
    "LONGRUN_SECRET": "planted-own",
}
LOGIN = {"MLFLOW_TRACKING_USERNAME": "operator", "AWS_REGION": "us-east-1"}

KILLED = (("pretraining", "mlflow"), ("conversations", "store"), ("registration", "mlflow"))
"""Which server is killed when which step has started; it comes back when the run says that it waits for it."""

NAMES = {"mlflow": "MLflow at ", "store": "object store "}


@dataclass
class Site:
    """The servers, and what the commands that used them printed."""

    directory: Path
    database: servers.Postgres
    store: servers.Server
    mlflow: servers.Server
    printed: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **SECRETS, **LOGIN, "AWS_ENDPOINT_URL": self.store.url}

    def command(self, *words: str, home: str) -> list[str]:
        return commands.command(*words, home=self.directory / home)

    def longrun(self, *words: str, home: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ended = commands.longrun(*words, home=self.directory / home, environment=self.environment | environment)
        self.printed += [ended.stdout, ended.stderr]
        return ended

    def as_json(self, *words: str, home: str) -> Any:
        ended = self.longrun(*words, "--json", home=home)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def events(self, home: str, kind: str) -> list[dict[str, Any]]:
        """Events of the latest run, read as they lie there."""
        runs = sorted((self.directory / home).glob("runs/*"))
        journal = runs[-1] / "events.jsonl" if runs else self.directory / "none-yet"
        whole = journal.read_text().rpartition("\n")[0].splitlines() if journal.is_file() else []
        return [event for line in whole if (event := json.loads(line))["event"] == kind]


def store_options(site: Site) -> list[str]:
    return ["--artifact-root", ROOT, "--mlflow-uri", site.mlflow.url]


def _wait_for(condition: Callable[[], bool], run: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert run.poll() is None, f"the run ended:\n{log.read_text()}"
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def _run_with_kills(site: Site) -> int:
    """A whole run, in which each server dies at its moment and comes back when the run waits for it."""
    log = site.directory / "terminal"
    command = site.command("run", "tiny", *store_options(site), home="home")
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=site.environment, cwd=site.directory, stdout=output, stderr=output) as run,
    ):
        for step, name in KILLED:
            server = getattr(site, name)
            _wait_for(lambda step=step: step in {event["step"] for event in site.events("home", "started")}, run, log)
            before = len(site.events("home", "waiting"))
            server.kill()
            _wait_for(
                lambda name=name, before=before: any(
                    event["why"].startswith(NAMES[name]) for event in site.events("home", "waiting")[before:]
                ),
                run,
                log,
            )
            server.start()
        run.wait()
    site.printed.append(log.read_text())
    return run.returncode


@pytest.fixture(scope="module")
def site(database: servers.Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The servers after a run in which both were killed, and the patches by which this process speaks to them too."""
    directory = tmp_path_factory.mktemp("site")
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(servers.durable_object_store(directory).running())
        servers.client(store.url).create_bucket(Bucket=BUCKET)
        mlflow = stack.enter_context(_mlflow(database, store, directory).running())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        made = Site(directory, database, store, mlflow)
        for name, value in made.environment.items():
            patch.setenv(name, value)
        assert _run_with_kills(made) == 0, made.printed[-1]
        yield made


def _mlflow(database: servers.Postgres, store: servers.Server, directory: Path) -> servers.Server:
    """An MLflow with rows in Postgres and files in the bucket, by keys of its own."""
    database.run("psql", "--dbname=postgres", "--command=CREATE DATABASE mlflow")
    uri = f"postgresql+psycopg2://{database.user}@127.0.0.1:{database.port}/mlflow"
    own = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    stores = [f"--backend-store-uri={uri}", f"--artifacts-destination=s3://{BUCKET}/mlflow"]
    return servers.mlflow_server(stores, directory, {**database.environment, **own, "MLFLOW_S3_ENDPOINT_URL": store.url})


@pytest.fixture(scope="module")
def rerun(site: Site) -> Site:
    """The same after the same command in another, empty home."""
    ended = site.longrun("run", "tiny", *store_options(site), home="other")
    assert ended.returncode == 0, ended.stderr
    return site


def _mlflow_runs(site: Site) -> list[Any]:
    mlflow = tracking.client(site.mlflow.url)
    experiment = mlflow.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment is not None
    return list(mlflow.search_runs([experiment.experiment_id], max_results=1000))


def _latest(site: Site, home: str) -> Path:
    """The folder of the latest run of a home."""
    return sorted((site.directory / home).glob("runs/*"))[-1]


def _child(site: Site, step: str) -> Any:
    (child,) = [run for run in _mlflow_runs(site) if run.info.run_name == f"tiny {step}"]
    return child


def test_the_run_waits_for_each_server_and_goes_on(site: Site) -> None:
    assert Counter(event["step"] for event in site.events("home", "made")).most_common(1)[0][1] == 1
    assert len(site.events("home", "made")) == STEPS
    said = [event["why"] for event in site.events("home", "waiting")]
    for _, name in KILLED:
        assert [why for why in said if why.startswith(NAMES[name]) and "retrying for another" in why]
        assert [why for why in said if why.startswith(NAMES[name]) and "answers again" in why]
    assert "waiting: MLflow at" in site.printed[0]


def test_mlflow_has_every_step_once_and_finished(site: Site) -> None:
    runs = _mlflow_runs(site)
    children = [run.info.run_name for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert sorted(children) == sorted(f"tiny {event['step']}" for event in site.events("home", "made"))
    assert len([run for run in runs if run.info.run_name == f"tiny {_latest(site, 'home').name}"]) == 1
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_mlflow_has_every_training_step_once_with_its_value(site: Site) -> None:
    history = tracking.client(site.mlflow.url).get_metric_history(_child(site, "pretraining").info.run_id, "loss")
    assert sorted(point.step for point in history) == list(range(1, 201))


def test_reports_in_mlflow_are_those_of_the_artifacts(site: Site, tmp_path: Path) -> None:
    mlflow, store = tracking.client(site.mlflow.url), _store(site, tmp_path)
    pages = 0
    for event in site.events("home", "made"):
        run, manifest = _child(site, event["step"]), store.manifest(event["uri"])
        html = [record for record in manifest.files if record.path.endswith(".html") and "/" not in record.path]
        assert sorted(file.path for file in mlflow.list_artifacts(run.info.run_id)) == [record.path for record in html]
        assert [file.file_size for file in mlflow.list_artifacts(run.info.run_id)] == [record.size for record in html]
        pages += len(html)
    assert pages >= 9


def test_one_version_is_registered_and_points_into_the_bucket(site: Site) -> None:
    (model,) = site.as_json("models", home="home")
    assert (model["model"], model["aliases"]) == ("tiny/1", ["candidate"])
    (version,) = tracking.client(site.mlflow.url).search_model_versions("name = 'tiny'")
    assert version.source == model["place"]
    assert model["place"].startswith(f"{ROOT}/artifacts/registration/")


def _store(site: Site, copies: Path) -> ObjectArtifactStore:
    return ObjectArtifactStore(root=ROOT, copies=copies, shared=copies, endpoint=site.store.url)


def test_every_artifact_is_in_the_bucket_once_and_whole(site: Site, tmp_path: Path) -> None:
    store = _store(site, tmp_path)
    artifacts = list(store.artifacts())
    written = site.events("home", "made") + site.events("home", "kept")  # made by steps, and kept for a branch
    assert sorted(artifact.uri for artifact in artifacts) == sorted(event["uri"] for event in written)
    assert [store.differences(artifact) for artifact in artifacts] == [[]] * len(written)
    below = ROOT.removeprefix(f"s3://{BUCKET}/") + "/artifacts/"
    files = [name.removeprefix(below).split("/") for name in _objects(site) if name.startswith(below)]
    contents = {tuple(path[:3]) for path in files if len(path) > 3 and path[2] != "attempts"}
    assert len(contents) == len(written)  # one an artifact: nothing was left of a killed writer


def test_a_rerun_in_an_empty_home_reuses_every_step_from_the_bucket(rerun: Site) -> None:
    assert len(rerun.events("other", "cached")) == STEPS
    assert rerun.events("other", "made") == []
    assert [model["model"] for model in rerun.as_json("models", home="other")] == ["tiny/1"]


def test_later_commands_find_the_record_without_being_told_where(rerun: Site) -> None:
    assert rerun.as_json("verify", "tiny", home="other")["differences"] == {}
    lineage = rerun.as_json("lineage", "tiny@candidate", home="other")
    assert lineage["artifacts"][lineage["root"]]["kind"] == "RegisteredModel"
    assert rerun.as_json("generate", "tiny", "def main(", "--raw", "--max-new-tokens", "4", home="other")["text"].startswith(
        "def"
    )


def test_a_bucket_that_does_not_exist_is_refused_at_once_and_not_remembered(rerun: Site) -> None:
    ended = rerun.longrun("run", "tiny", "--artifact-root", "s3://absent/x", home="other")
    assert ended.returncode == 1
    assert "s3://absent/x: NoSuchBucket; check the store's address" in ended.stderr
    assert ROOT in (rerun.directory / "other" / "record.toml").read_text()


def test_where_a_machine_is_lost_in_pretraining_another_goes_on_from_the_bucket(rerun: Site) -> None:
    words = ("run", "tiny", *store_options(rerun), "--until", "pretraining", "--set", "pretraining.seed=1")
    log = rerun.directory / "lost-terminal"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            rerun.command(*words, home="lost"), env=rerun.environment, cwd=rerun.directory, stdout=output, stderr=output
        ) as run,
    ):
        _wait_for(lambda: any("/scratch/" in name and name.endswith("/latest") for name in _names(rerun)), run, log)
        run.kill()
    assert rerun.longrun(*words, home="replacement").returncode == 0
    trainings = [run.data.metrics for run in _mlflow_runs(rerun) if run.info.run_name == "tiny pretraining"]
    assert [metrics["resumed_from"] for metrics in trainings if metrics.get("resumed_from")] in ([50], [100], [150])


def _names(site: Site) -> list[str]:
    pages = servers.client(site.store.url).get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return [entry["Key"] for page in pages for entry in page["Contents"]]


def _objects(site: Site) -> dict[str, bytes]:
    client = servers.client(site.store.url)
    return {name: client.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in _names(site)}


def _outputs(site: Site) -> Iterator[tuple[str, bytes]]:
    """Everything that the runs and the commands have left anywhere, by name."""
    for home in ("home", "other"):
        yield from ((str(path), path.read_bytes()) for path in (site.directory / home).rglob("*") if path.is_file())
    yield from _objects(site).items()
    yield "Postgres", site.database.run("pg_dump", "mlflow").encode()
    yield "MLflow's log", site.mlflow.log.read_bytes()
    yield from ((f"printed {number}", text.encode()) for number, text in enumerate(site.printed))


def _readable(name: str, data: bytes) -> bytes:
    """Tables are compressed: their rows are what is looked through."""
    return str(pq.read_table(io.BytesIO(data)).to_pylist()).encode() if name.endswith(".parquet") else data


def _secrets_in(outputs: Iterator[tuple[str, bytes]]) -> list[tuple[str, str]]:
    read = [(name, _readable(name, data)) for name, data in outputs]
    return [(name, variable) for name, data in read for variable, secret in SECRETS.items() if secret.encode() in data]


def test_no_planted_secret_is_in_anything_that_was_left(rerun: Site) -> None:
    outputs = list(_outputs(rerun))
    names = " ".join(name for name, _ in outputs)
    for kind in ("events.jsonl", "run.log", MANIFEST, "report.html", "README.md", "mlflow/", "record.toml", ".parquet"):
        assert kind in names
    assert _secrets_in(iter(outputs)) == []


def test_a_secret_in_a_table_a_text_or_the_database_would_be_found() -> None:
    import pyarrow as pa

    table = io.BytesIO()
    pq.write_table(pa.table({"text": [SECRETS["HF_TOKEN"]]}), table, compression="zstd")
    written = [("a.parquet", table.getvalue()), ("b.log", f"x{SECRETS['AWS_SECRET_ACCESS_KEY']}y".encode()), ("c", b"nothing")]
    assert _secrets_in(iter(written)) == [("a.parquet", "HF_TOKEN"), ("b.log", "AWS_SECRET_ACCESS_KEY")]
