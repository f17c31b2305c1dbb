"""Who makes an artifact, on what, with which version of the code: facts for its record, none of which decide anything."""

import functools
import getpass
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of_distribution
from pathlib import Path

from infra.bundle import REPOSITORY

_GPUS = Path("/proc/driver/nvidia/gpus")
"""Where the driver of Nvidia says which GPUs there are, a folder each."""

_PROCESSORS = Path("/proc/cpuinfo")


def now() -> str:
    """The time in UTC, as in 2026-11-30T10:00:00.000000Z."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def user() -> str:
    """The login name, or the user's number where it has none, as in many containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def machine() -> str:
    """The kind of this host, such as Linux x86_64."""
    return f"{platform.system()} {platform.machine()}"


@functools.cache
def devices(gpus: Path = _GPUS, processors: Path = _PROCESSORS) -> tuple[str, ...]:
    """The names of this machine's GPUs; without any, that of its processor and the number of them."""
    named = tuple(_models(gpus.glob("*/information"), "Model"))
    return named or tuple(f"{name} x {os.cpu_count()}" for name in list(_models([processors], "model name"))[:1])


def _models(files: "Iterator[Path] | list[Path]", key: str) -> Iterator[str]:
    for file in sorted(files):
        try:
            text = file.read_text(errors="replace")
        except OSError:
            continue
        yield from (match.strip() for match in re.findall(rf"^{key}\s*:(.*)$", text, re.MULTILINE))


@functools.cache
def version() -> str:
    """Of longrun; empty where it runs from a bundle that was not installed."""
    try:
        return version_of_distribution("longrun")
    except PackageNotFoundError:
        return ""


@functools.cache
def commit(repository: Path = REPOSITORY) -> str:
    """The commit of the checkout that longrun runs from, with a plus sign where files differ from it; empty without one."""
    if not (repository / ".git").exists():
        return ""
    command = ["git", "-C", str(repository), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
