"""The command line as a user calls it, what it left in a home, and a home moved elsewhere."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.artifacts import MANIFEST, Manifest


def command(*words: str, home: Path) -> list[str]:
    return [sys.executable, "-m", "workflows.cli", *words, "--home", str(home)]


def longrun(*words: str, home: Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command that has ended, in this process's environment if no other is given."""
    whole = command(*words, home=home)
    return subprocess.run(whole, capture_output=True, text=True, check=False, cwd=home.parent, env=environment)


def ran(*words: str, home: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command printed that must succeed."""
    ended = longrun(*words, home=home, environment=environment)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return ended.stdout


def as_json(*words: str, home: Path) -> Any:
    return json.loads(ran(*words, "--json", home=home))


def events(home: Path, kind: str) -> list[dict[str, Any]]:
    """Events of one kind of the latest run."""
    events_of_run: list[dict[str, Any]] = as_json("logs", "latest", home=home)
    return [event for event in events_of_run if event["event"] == kind]


def steps(home: Path, kind: str) -> list[str]:
    return [event["step"] for event in events(home, kind)]


def artifact_directory(home: Path, step: str) -> Path:
    """The artifact of a step that the latest run made."""
    (uri,) = [event["uri"] for event in events(home, "made") if event["step"] == step]
    return home / uri


def manifest(home: Path, step: str) -> Manifest:
    return Manifest.from_bytes((artifact_directory(home, step) / MANIFEST).read_bytes(), step)


def hashes(home: Path, step: str) -> dict[str, str]:
    """sha256 of each content file."""
    return {record.path: record.sha256 for record in manifest(home, step).files if not record.record}


def copied(home: Path, target: Path) -> Path:
    """A copy of a home below `target`."""
    shutil.copytree(home, target / "home", symlinks=True)
    return target / "home"
