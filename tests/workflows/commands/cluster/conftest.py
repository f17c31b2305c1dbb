"""A home with the profile of a Flyte service and a registry, and commands that use it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.errors import (
    ClusterError,
    ConfigError,
)
from infra.bundle import PROJECT_ROOT
from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import Profile, write_profile
from tests.fake_cluster.flyte_service import FakeFlyte
from tests.fake_cluster.kubernetes_api import FakeCluster
from tests.infra.conftest import sample_profile
from workflows.cli.main import app

PLANTED = "planted-in-the-environment"
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": PLANTED,
    "MLFLOW_TRACKING_PASSWORD": PLANTED,
    "MY_FLYTE_TOKEN": PLANTED,
    "DATABASE_URL": PLANTED,
}
RUN = "20260102-030405-abcd"


@pytest.fixture
def flyte() -> Iterator[FakeFlyte]:
    """A Flyte service that takes every run."""
    with FakeFlyte().serving() as fake:
        yield fake


@pytest.fixture
def registry() -> Iterator[FakeCluster]:
    """A registry that has every image."""
    with FakeCluster().serving() as fake:
        yield fake


@pytest.fixture
def profile(flyte: FakeFlyte, registry: FakeCluster) -> Profile:
    """The profile of both."""
    return sample_profile(
        endpoint=flyte.url,
        image_registry=f"{registry.host}/longrun",
        secrets={"MLFLOW_TRACKING_PASSWORD": "kubernetes:longrun-mlflow/password"},
    )


@pytest.fixture
def home(tmp_path: Path, profile: Profile) -> Path:
    """A home with that profile and no other."""
    write_profile(tmp_path / "home", "site", profile)
    return tmp_path / "home"


def longrun(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: it serialises tasks for the cluster as soon as it is loaded."""
    variables = {name: value for name, value in os.environ.items() if name != CARRIER} | SECRETS | environment
    command = [sys.executable, "-m", "workflows.cli", *words, "--home", str(home)]
    return subprocess.run(command, cwd=PROJECT_ROOT, env=variables, capture_output=True, text=True, check=False)


def submitted(home: Path, *words: str) -> str:
    """The id of a run that was submitted."""
    done = longrun(home, "run", "tiny", "--on", "cluster", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    (name,) = re.findall(r"^run (\S+): ", done.stdout, re.MULTILINE)
    return name


def reading(home: Path, *words: str) -> tuple[int, str]:
    """A command that needs no tasks, in this process."""
    result = CliRunner().invoke(app, [*words, "--home", str(home)])
    if isinstance(result.exception, ClusterError | ConfigError):
        return 1, str(result.exception)
    return result.exit_code, result.output
