"""Real servers for tests: Postgres (the binaries of pgserver) and an S3 API (moto), each a process on localhost."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_START_SECONDS = 120.0


def postgres_binary(name: str) -> str:
    """Path of a program of Postgres, such as pg_dump."""
    spec = find_spec("pgserver")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def free_port() -> int:
    """A TCP port on localhost that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server behind {url} stopped:\n{log.read_text()}"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {url}:\n{log.read_text()}")


@contextlib.contextmanager
def serving(command: list[str], url: str, log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a server until the block ends; it is ready when something answers at `url`."""
    with log.open("wb") as output, subprocess.Popen(command, env=dict(environment), stdout=output, stderr=output) as process:
        try:
            _wait_for(url, process, log)
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Postgres:
    """A running Postgres."""

    port: int
    user: str
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """What libpq reads."""
        here = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": self.user, "PGPASSWORD": self.password}
        return {"PATH": os.environ["PATH"], **here}

    def run(self, program: str, *arguments: str) -> str:
        """Output of a client program."""
        command = [postgres_binary(program), *arguments]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout


def unprivileged() -> str | None:
    """Postgres refuses to run as root: the user to run it as instead, if we are root."""
    return "nobody" if os.geteuid() == 0 else None


def postgres_is_reachable() -> bool:
    """Whether the user that Postgres runs as may execute its programs where they lie."""
    return subprocess.run(["test", "-x", postgres_binary("initdb")], user=unprivileged(), check=False).returncode == 0


@contextlib.contextmanager
def postgres(directory: Path) -> Iterator[Postgres]:
    """A new Postgres with its data in `directory`, which must be reachable for an unprivileged user."""
    server = Postgres(port=free_port(), user="longrun", password=secrets.token_hex(12))
    directory.mkdir()
    secret = directory / "password"
    secret.write_text(server.password)
    user = unprivileged()
    if user:
        for path in (directory, secret):
            shutil.chown(path, user)
    data = str(directory / "data")
    initdb = ["initdb", f"--pgdata={data}", "--username=longrun", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync"]
    settings = f"-p {server.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{directory}' -c fsync=off"
    start = ["pg_ctl", f"--pgdata={data}", f"--log={directory}/log", f"--options={settings}", "--wait", "start"]
    stop = ["pg_ctl", f"--pgdata={data}", "--mode=fast", "--wait", "stop"]

    def as_user(command: list[str]) -> None:
        subprocess.run(
            [postgres_binary(command[0]), *command[1:]], user=user, check=True, cwd=directory, stdout=subprocess.DEVNULL
        )

    as_user(initdb)
    as_user(start)
    try:
        yield server
    finally:
        as_user(stop)


@contextlib.contextmanager
def object_store(log: Path) -> Iterator[str]:
    """URL of a new, empty S3 API."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = str(Path(sys.executable).with_name("moto_server"))
    with serving([program, "--host", "127.0.0.1", "--port", str(port)], url, log, os.environ):
        yield url


@dataclass
class Server:
    """A server process that can be killed, and started again at the same address with what it has kept."""

    command: list[str]
    url: str
    health: str
    """Path at which it answers as soon as it is ready."""
    log: Path
    environment: Mapping[str, str]
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command, env=dict(self.environment), stdout=output, stderr=output, start_new_session=True
            )
        _wait_for(f"{self.url}{self.health}", self._process, self.log)

    def kill(self) -> None:
        """`kill -9` for it and its children."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @contextlib.contextmanager
    def running(self) -> "Iterator[Server]":
        """Started, and killed at the end of the block."""
        try:
            self.start()
            yield self
        finally:
            self.kill()


def durable_object_store(directory: Path) -> Server:
    """An S3 API that keeps what it was given when it is killed."""
    port = free_port()
    command = [sys.executable, "-m", "tests.durable_s3", str(port), str(directory / "notes")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    return Server(command, f"http://127.0.0.1:{port}", "/", directory / "store.log", environment)


def mlflow_server(locations: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Server:
    """An MLflow that keeps its record where the arguments `locations` say, artifacts by way of itself."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("mlflow")), "server", "--host=127.0.0.1", f"--port={port}", "--workers=1"]
    command += ["--serve-artifacts", "--default-artifact-root=mlflow-artifacts:/", *locations]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"PATH": path, "HOME": str(directory), **quiet, **environment}
    return Server(command, f"http://127.0.0.1:{port}", "/health", directory / "mlflow.log", own)


def client(url: str) -> Any:
    """A client of the S3 API at `url`."""
    import boto3

    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
