"""The MLflow server as the chart starts it: the rendered command and environment, on a real Postgres and a real S3 API."""

import base64
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests import servers
from tests.charts import helm

pytestmark = pytest.mark.slow

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
LOGIN = {"username": "operator", "password": "a-long-enough-password"}
SECRETS = {
    **{f"mlflow-admin/{key}": value for key, value in LOGIN.items()},
    "mlflow-admin/secret-key": "k" * 48,
    "object-store/AWS_ACCESS_KEY_ID": "key",
    "object-store/AWS_SECRET_ACCESS_KEY": "secret",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A running MLflow."""

    url: str
    environment: Mapping[str, str]
    log: Path


def _environment(entries: list[helm.Document], known: Mapping[str, str]) -> dict[str, str]:
    """A container's environment with its references to Secrets resolved."""
    environment = {}
    for entry in entries:
        source = entry.get("valueFrom", {})
        secret = source.get("secretKeyRef", {"name": "pod", "key": "ip"})
        environment[entry["name"]] = entry["value"] if "value" in entry else known[f"{secret['name']}/{secret['key']}"]
    return environment


def _rewired(text: str, replacements: Mapping[str, str]) -> str:
    for there, here in replacements.items():
        text = text.replace(there, here)
    return text


@pytest.fixture(scope="module")
def server(database: servers.Postgres, store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The `gpu` shape's server; only addresses, folders and the port differ from what the pod would get."""
    directory = tmp_path_factory.mktemp("mlflow")
    port = str(servers.free_port())
    (container,) = helm.pod_templates("gpu")["Deployment/longrun-mlflow"]["spec"]["containers"]
    replacements = {
        "postgres.example.internal:5432": f"127.0.0.1:{database.port}",
        "sslmode=require": "sslmode=disable",
        "https://s3.example.internal:9000": store,
        "0.0.0.0": "127.0.0.1",
        "$(POD_IP)": "127.0.0.1",
        "5000": port,
        "/tmp": str(directory),
        "/etc/mlflow": str(directory),
    }
    ini = helm.of_kind("gpu", "ConfigMap")["longrun-mlflow"]["data"]["basic_auth.ini"]
    (directory / "basic_auth.ini").write_text(_rewired(ini, replacements))
    rendered = _environment(container["env"], {**SECRETS, "pod/ip": "127.0.0.1", "mlflow-database/password": database.password})
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {name: _rewired(value, replacements) for name, value in rendered.items()}
    database.run("psql", "--dbname=postgres", "--command=CREATE DATABASE mlflow")
    servers.client(store).create_bucket(Bucket="longrun")
    command = [*container["command"], *(_rewired(argument, replacements) for argument in container["args"])]
    url, log = f"http://127.0.0.1:{port}", directory / "log"
    with servers.serving(command, f"{url}/health", log, environment):
        yield Server(url=url, environment=environment, log=log)


def _ask(url: str, *, password: str = "", host: str = "") -> tuple[int, str]:
    headers = {"Host": host} if host else {}
    if password:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{LOGIN['username']}:{password}".encode()).decode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def test_the_release_s_own_test_passes(server: Server) -> None:
    login = {f"MLFLOW_TRACKING_{key.upper()}": value for key, value in LOGIN.items()}
    script = helm.CHART / "files" / "connection.py"
    command = [sys.executable, str(script)]
    environment = {**login, "MLFLOW_TRACKING_URI": server.url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok: ") == 6


def test_the_release_s_own_test_fails_with_a_wrong_password(server: Server) -> None:
    wrong = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_TRACKING_USERNAME": "operator", "MLFLOW_TRACKING_PASSWORD": "wrong"}
    command = [sys.executable, str(helm.CHART / "files" / "connection.py")]
    done = subprocess.run(command, env=wrong, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "failed: the database is read: 401" in done.stderr


def test_artifacts_pass_through_the_server_into_the_bucket(server: Server, store: str) -> None:
    request = urllib.request.Request(f"{server.url}{ARTIFACTS}/kept.txt", data=b"kept", method="PUT")
    request.add_header("Authorization", "Basic " + base64.b64encode(":".join(LOGIN.values()).encode()).decode())
    urllib.request.urlopen(request, timeout=60).close()
    assert servers.client(store).get_object(Bucket="longrun", Key="mlflow/kept.txt")["Body"].read() == b"kept"


def test_users_live_in_postgres_and_not_beside_the_server(server: Server, database: servers.Postgres) -> None:
    users = database.run("psql", "--dbname=mlflow", "--tuples-only", "--no-align", "--command=SELECT username FROM users")
    assert users.split() == ["operator"]
    assert not list(server.log.parent.glob("*.db"))


def test_the_server_is_called_by_its_own_names_only(server: Server) -> None:
    path, port = f"{server.url}/api/2.0/mlflow/experiments/search?max_results=1", server.url.rpartition(":")[2]
    for name in ("longrun-mlflow", "longrun-mlflow.longrun.svc", "longrun-mlflow.longrun.svc.cluster.local"):
        assert _ask(path, password=LOGIN["password"], host=f"{name}:{port}")[0] == 200
    assert _ask(path, password=LOGIN["password"], host="evil.example.com")[0] == 403


def test_the_dashboard_shows_metrics_that_the_server_has(server: Server) -> None:
    assert _ask(f"{server.url}/metrics")[0] == 401
    status, text = _ask(f"{server.url}/metrics", password=LOGIN["password"])
    assert status == 200
    shown = set(re.findall(r"mlflow_[a-z_]+", (helm.CHART / "files" / "dashboard.json").read_text()))
    assert shown
    assert shown <= set(re.findall(r"^(mlflow_[a-z_]+)", text, re.MULTILINE))


def _migrate(
    server: Server, database: servers.Postgres, *, name: str = "mlflow", port: int = 0, more: tuple[str, ...] = ()
) -> str:
    """What the upgrade's job says of a database; its arguments are the release's but for the address."""
    (container,) = helm.pod_templates("gpu")["Job/longrun-mlflow-migration"]["spec"]["containers"]
    assert container["args"] == ["postgresql+psycopg2://longrun@postgres.example.internal:5432/mlflow?sslmode=require"]
    uri = f"postgresql+psycopg2://longrun@127.0.0.1:{port or database.port}/{name}?sslmode=disable"
    command = [*container["command"], uri, *more]
    done = subprocess.run(command, env=dict(server.environment), capture_output=True, text=True, check=False)
    return f"{done.returncode} {done.stdout if done.returncode == 0 else done.stderr}"


def test_the_upgrade_s_migration_runs_on_a_database_in_use(server: Server, database: servers.Postgres) -> None:
    said = _migrate(server, database)
    assert said.startswith("0 ")
    assert "skipped" not in said


def test_a_database_that_mlflow_has_not_made_yet_is_left_to_the_server(server: Server, database: servers.Postgres) -> None:
    database.run("psql", "--dbname=postgres", "--command=CREATE DATABASE fresh")
    assert _migrate(server, database, name="fresh") == "0 skipped: MLflow's tables do not exist yet\n"
    assert "0 rows" in database.run("psql", "--dbname=fresh", "--command=SELECT * FROM pg_tables WHERE schemaname = 'public'")


def test_an_installation_that_failed_before_its_postgres_came_up_can_be_upgraded(
    server: Server, database: servers.Postgres
) -> None:
    nobody = servers.free_port()
    said = _migrate(server, database, port=nobody, more=("bundled",))
    assert said.startswith("0 skipped: the bundled Postgres does not answer")
    assert _migrate(server, database, port=nobody).startswith("1 failed: the database does not answer")


def test_no_processes_wait_for_jobs_that_longrun_does_not_have(server: Server) -> None:
    running = [
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get("MLFLOW_AUTH_CONFIG_PATH") == server.environment["MLFLOW_AUTH_CONFIG_PATH"]
    ]
    assert [command for command in running if "mlflow server" in command]
    assert [command for command in running if "huey" in command] == []


def test_nothing_secret_is_logged(server: Server, database: servers.Postgres) -> None:
    log = server.log.read_text()
    assert not [secret for secret in (LOGIN["password"], "k" * 48, database.password) if secret in log]
