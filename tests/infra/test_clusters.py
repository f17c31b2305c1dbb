"""The page on clusters: its backup and its restore are run as they stand there, its files and values exist."""

import os
import re
import secrets
import subprocess
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from infra.bundle import PROJECT_ROOT
from infra.cluster.profiles import IMAGE_GROUPS, make_profile
from tests import servers
from tests.charts import helm

PAGE = (PROJECT_ROOT / "infra" / "clusters.md").read_text()


def block(heading: str) -> str:
    """The commands under a heading."""
    match = re.search(rf"^## {heading}\n.*?^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert match
    return match[1]


def _sh(commands: str, database: servers.Postgres, store: str, backup: Path) -> None:
    path = f"{Path(servers.postgres_binary('psql')).parent}:{os.environ['PATH']}"
    locations = {"STORE": f"s3://longrun?scheme=http&endpoint_override={store.removeprefix('http://')}", "BACKUP": str(backup)}
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = {**database.environment, **locations, **keys, "PATH": path}
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], env=environment, cwd=PROJECT_ROOT, check=True)


def _query(database: servers.Postgres, name: str, query: str) -> str:
    return database.run("psql", f"--dbname={name}", "--tuples-only", "--no-align", f"--command={query}").strip()


@pytest.mark.long
def test_what_was_backed_up_is_there_after_everything_was_lost(database: servers.Postgres, store: str, tmp_path: Path) -> None:
    client, content = servers.client(store), secrets.token_bytes(3_000_000)
    for name in ("mlflow", "flyte"):
        _query(database, "postgres", f"CREATE DATABASE {name}")
    _query(
        database, "mlflow", "CREATE TABLE runs (id text PRIMARY KEY, loss float8); INSERT INTO runs VALUES ('a', 2.5), ('b', 1.5)"
    )
    _query(
        database, "flyte", "CREATE TABLE actions (id serial PRIMARY KEY, name text); INSERT INTO actions (name) VALUES ('train')"
    )
    client.create_bucket(Bucket="longrun")
    client.put_object(Bucket="longrun", Key="mlflow/1/a/artifacts/model.safetensors", Body=content)
    client.put_object(Bucket="longrun", Key="flyte/inputs.pb", Body=b"")

    _sh(block("Backup"), database, store, tmp_path)
    _query(database, "mlflow", "DELETE FROM runs WHERE id = 'a'; INSERT INTO runs VALUES ('later', 0.5)")
    _query(database, "postgres", "DROP DATABASE flyte")
    _query(database, "postgres", "CREATE DATABASE flyte")
    for key in ("mlflow/1/a/artifacts/model.safetensors", "flyte/inputs.pb"):
        client.delete_object(Bucket="longrun", Key=key)
    _sh(block("Restore"), database, store, tmp_path)

    assert _query(database, "mlflow", "SELECT id, loss FROM runs ORDER BY id").split() == ["a|2.5", "b|1.5"]
    assert _query(database, "flyte", "SELECT name FROM actions") == "train"
    assert _query(database, "flyte", "INSERT INTO actions (name) VALUES ('next') RETURNING id").split()[0] == "2"
    assert client.get_object(Bucket="longrun", Key="mlflow/1/a/artifacts/model.safetensors")["Body"].read() == content
    assert client.get_object(Bucket="longrun", Key="flyte/inputs.pb")["Body"].read() == b""


def test_a_damaged_dump_stops_the_restore(database: servers.Postgres, store: str, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "mlflow.dump").write_bytes(b"PGDMP")
    with pytest.raises(subprocess.CalledProcessError):
        _sh(block("Restore"), database, store, tmp_path)


def test_the_order_installs_the_pinned_versions_with_our_values() -> None:
    commands = block("The order").replace("\\\n", " ")
    operators = yaml.safe_load((PROJECT_ROOT / "charts" / "operators.yaml").read_text())
    for name, operator in operators.items():
        (line,) = [line for line in commands.splitlines() if f"--install {name} {operator['chart']} " in line]
        assert f"--repo {operator['repository']} --version {operator['version']} " in line
        assert f"--values charts/{operator['values']}" in line
    assert commands.index("--install longrun") < commands.index("--install kuberay") < commands.index("--install flyte")


def test_the_trial_s_profile_names_services_and_secrets_that_the_trial_has() -> None:
    match = re.search(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert match
    digests = dict.fromkeys(IMAGE_GROUPS, f"sha256:{'0' * 64}")
    profile = make_profile(tomllib.loads(match[1]) | {"image_digests": digests}, "the page")
    made = {(document["kind"], document["metadata"]["name"]): document for document in helm.documents("trial")}
    for secret, key in profile.pod_secrets.values():
        assert key in made["Secret", secret]["data"]
    for url in (profile.object_store_endpoint, profile.mlflow_uri):
        ports = [port["port"] for port in made["Service", str(urlsplit(url).hostname)]["spec"]["ports"]]
        assert urlsplit(url).port in ports
        assert f"port-forward service/{urlsplit(url).hostname} {urlsplit(url).port}" in PAGE
    assert f"port-forward service/flyte-http {urlsplit(profile.endpoint).port}" in PAGE


def test_files_and_values_that_the_page_names_exist() -> None:
    for path in re.findall(r"(?<![\w/])(charts/[\w./-]+\.yaml)", PAGE):
        assert (PROJECT_ROOT / path).is_file(), path
    values = yaml.safe_load((helm.CHART / "values.yaml").read_text())
    for name in ("apiServerCidrs", "dnsCidrs"):
        assert f"`{name}`" in PAGE
        assert name in values["networkPolicy"]
    for name in re.findall(r"`retention\.(\w+)`", PAGE):
        assert name in values["retention"]
