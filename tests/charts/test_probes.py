"""Probes ask what is there: over HTTP, or by a program that the container's image has, of a database that exists."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers
from tests.charts import helm

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
PROGRAMS = {"StatefulSet/longrun-postgres": "pg_isready"}
"""Programs that probes call; Postgres' image has its own."""


def commands(shape: str) -> Iterator[tuple[str, list[str]]]:
    """Every command that a probe calls, by its pod."""
    for name, pod in helm.pod_templates(shape).items():
        for container in helm.containers(pod):
            for probe in PROBES:
                if "exec" in container.get(probe, {}):
                    yield name, container[probe]["exec"]["command"]


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_a_probe_calls_only_what_its_image_has(shape: str) -> None:
    assert {name: command[0] for name, command in commands(shape)}.items() <= PROGRAMS.items()


def test_postgres_is_asked_for_a_database_that_it_has() -> None:
    (postgres,) = helm.pod_templates("trial")["StatefulSet/longrun-postgres"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in postgres["env"]}
    asked = [command for _, command in commands("trial")]
    assert len(asked) == 3
    assert all(f"--dbname={environment['POSTGRES_DB']}" in command for command in asked)


@pytest.mark.slow
def test_postgres_logs_no_error_when_it_is_probed() -> None:
    """Its image trusts who calls from the pod itself, so that a probe gets as far as the database."""
    if not servers.postgres_is_reachable():
        pytest.skip("Postgres does not run as root, and another user cannot reach its programs in this folder")
    (_, command), *_ = commands("trial")
    with tempfile.TemporaryDirectory(prefix="longrun-pg-") as directory:
        Path(directory).chmod(0o755)
        folder = Path(directory) / "postgres"
        with servers.postgres(folder) as database:
            database.run("psql", "--dbname=postgres", "--command=CREATE DATABASE mlflow")
            (folder / "data" / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
            database.run("psql", "--dbname=postgres", "--command=SELECT pg_reload_conf()")
            program, *words = [servers.postgres_binary(command[0]), *command[1:], f"--port={database.port}"]
            assert subprocess.run([program, *words], env={}, check=False).returncode == 0
            assert "FATAL" not in (folder / "log").read_text()
            nameless = [word for word in words if not word.startswith("--dbname")]
            assert subprocess.run([program, *nameless], env={}, check=False).returncode == 0
            assert 'FATAL:  database "longrun" does not exist' in (folder / "log").read_text()
