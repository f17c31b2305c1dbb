"""Facts for an artifact's record: time, user, machine and version of the code. None of them affects reuse."""

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

from infra.bundle import PROJECT_ROOT

_GPUS = Path("/proc/driver/nvidia/gpus")
"""Where NVIDIA's driver has one folder per GPU."""

_PROCESSORS = Path("/proc/cpuinfo")


def now() -> str:
    """The current time in UTC, such as 2026-11-30T10:00:00.000000Z."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def user() -> str:
    """The login name; the user id if there is no name, as in many containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def machine() -> str:
    """Operating system and architecture, such as Linux x86_64."""
    return f"{platform.system()} {platform.machine()}"


@functools.cache
def devices(gpus: Path = _GPUS, processors: Path = _PROCESSORS) -> tuple[str, ...]:
    """The names of this machine's GPUs; without GPUs, the processor's name and number of cores."""
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
    """The installed version of longrun; empty if it is not installed, as on a cluster."""
    try:
        return version_of_distribution("longrun")
    except PackageNotFoundError:
        return ""


@functools.cache
def commit(repository: Path = PROJECT_ROOT) -> str:
    """The commit of the checkout that longrun runs from, with a plus sign if files differ; empty without a checkout."""
    if not (repository / ".git").exists():
        return ""
    command = ["git", "-C", str(repository), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
