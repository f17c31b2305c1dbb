"""Can this machine and this installation run longrun? One finding a line, with the remedy."""

import importlib.metadata
import platform
import re
import shutil
import sys
from typing import Any

import psutil

from components.errors import HomeError
from infra.distributions import RUNTIME_GROUPS
from infra.settings import REPOSITORY, Settings, usable_home

_LEAST_MEMORY = 6 * 2**30
_LEAST_DISK = 3 * 2**30


def examine(settings: Settings) -> list[dict[str, str]]:
    """Findings of what, state (ok, warning, failed), found and remedy."""
    return [_system(), _python(), *_locks(), _memory(), _home(settings), _disk(settings), _device()]


def _finding(what: str, good: bool, found: str, remedy: str, *, bad: str = "failed") -> dict[str, str]:
    return {"what": what, "state": "ok" if good else bad, "found": found, "remedy": "" if good else remedy}


def _system() -> dict[str, str]:
    return _finding("system", platform.system() == "Linux", platform.platform(), "longrun runs on Linux")


def _python() -> dict[str, str]:
    return _finding("python", sys.version_info[:2] == (3, 11), platform.python_version(), "make install uses python3.11")


def _locks() -> list[dict[str, str]]:
    return [_lock(group) for group in RUNTIME_GROUPS]


def _lock(group: str) -> dict[str, str]:
    text = (REPOSITORY / "infra" / "locks" / f"{group}.txt").read_text()
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==([^ \n;\\]+)", text, re.MULTILINE)
    wrong = [
        f"{name} {_installed(name) or 'missing'} instead of {version}" for name, version in pinned if not _holds(name, version)
    ]
    found = f"{len(pinned)} packages as locked" if not wrong else "; ".join(wrong[:3])
    return _finding(f"packages: {group}", not wrong, found, "make install")


def _holds(name: str, version: str) -> bool:
    # torch's builds carry a suffix such as +cpu
    return (_installed(name) or "").split("+")[0] == version.split("+")[0]


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory() -> dict[str, str]:
    available = psutil.virtual_memory().available
    return _finding("memory", available >= _LEAST_MEMORY, _gib(available), "the smoke recipe takes up to 6 GiB", bad="warning")


def _home(settings: Settings) -> dict[str, str]:
    try:
        usable_home(settings.home)
    except HomeError as error:
        return _finding("home", False, str(error), "choose another with --home")
    return _finding("home", True, str(settings.home), "")


def _disk(settings: Settings) -> dict[str, str]:
    place: Any = settings.home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return _finding("disk", free >= _LEAST_DISK, f"{_gib(free)} free", "free some space", bad="warning")


def _device() -> dict[str, str]:
    driver = shutil.which("nvidia-smi")
    return _finding("accelerator", True, "NVIDIA driver found" if driver else "none: training runs on the CPU", "")


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
