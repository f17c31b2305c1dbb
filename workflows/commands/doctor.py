"""Whether this machine and this installation can run longrun: one finding a line, with the remedy."""

import importlib.metadata
import platform
import re
import shutil
import sys

import psutil

from components.errors import HomeError
from infra.bundle import REPOSITORY
from infra.distributions import RUNTIME_GROUPS
from infra.settings import Settings, usable_home
from workflows.resources import in_gib

_MIN_MEMORY = 6 * 2**30
_MIN_DISK = 3 * 2**30

Finding = dict[str, str]
"""What was looked at, its state (ok, warning, failed), what was observed (`found`), and the remedy."""


def examine(settings: Settings) -> list[Finding]:
    """Findings about this machine and this installation."""
    return [_system(), _python(), *_locks(), _memory(), _home(settings), _disk(settings), _device()]


def finding(what: str, good: bool, observed: str, remedy: str, *, bad: str = "failed") -> Finding:
    """A finding in the state `ok`, or `bad` with its remedy."""
    return {"what": what, "state": "ok" if good else bad, "found": observed, "remedy": "" if good else remedy}


def _system() -> Finding:
    return finding("system", platform.system() == "Linux", platform.platform(), "longrun runs on Linux")


def _python() -> Finding:
    return finding("python", sys.version_info[:2] == (3, 11), platform.python_version(), "make install uses python3.11")


def _locks() -> list[Finding]:
    return [_lock(group) for group in RUNTIME_GROUPS]


def _lock(group: str) -> Finding:
    text = (REPOSITORY / "infra" / "locks" / f"{group}.txt").read_text()
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==([^ \n;\\]+)", text, re.MULTILINE)
    wrong = [
        f"{name} {_installed(name) or 'missing'} instead of {version}" for name, version in pinned if not _holds(name, version)
    ]
    observed = f"{len(pinned)} packages as locked" if not wrong else "; ".join(wrong[:3])
    return finding(f"packages: {group}", not wrong, observed, "make install")


def _holds(name: str, version: str) -> bool:
    # torch's builds carry a suffix such as +cpu
    return (_installed(name) or "").split("+")[0] == version.split("+")[0]


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory() -> Finding:
    available = psutil.virtual_memory().available
    return finding("memory", available >= _MIN_MEMORY, in_gib(available), "the smoke recipe takes up to 6 GiB", bad="warning")


def _home(settings: Settings) -> Finding:
    try:
        usable_home(settings.home)
    except HomeError as error:
        return finding("home", False, str(error), "choose another with --home")
    return finding("home", True, str(settings.home), "")


def _disk(settings: Settings) -> Finding:
    directory = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(directory).free
    return finding("disk", free >= _MIN_DISK, f"{in_gib(free)} free", "free some space", bad="warning")


def _device() -> Finding:
    driver = shutil.which("nvidia-smi")
    return finding("accelerator", True, "NVIDIA driver found" if driver else "none: training runs on the CPU", "")
