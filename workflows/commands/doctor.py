"""Whether this machine and this installation can run longrun: one finding a line, with the remedy."""

import platform
import shutil
import sys
from pathlib import Path

import psutil

from components.errors import HomeError
from infra.distributions import LOCKS, RUNTIME_GROUPS, image_locks, installed, not_as_locked, pins, site_directories
from infra.settings import Settings, usable_home
from workflows.resources import in_gib

_MIN_MEMORY = 6 * 2**30
_MIN_DISK = 3 * 2**30

Finding = dict[str, str]
"""What was looked at, its state (ok, warning, failed), what was observed (`found`), and the remedy."""


def examine(settings: Settings) -> list[Finding]:
    """Findings about this machine and this installation."""
    return [_system(), _python(bool(image_locks())), *packages(), _memory(), _home(settings), _disk(settings), _device()]


def finding(what: str, good: bool, observed: str, remedy: str, *, bad: str = "failed") -> Finding:
    """A finding in the state `ok`, or `bad` with its remedy."""
    return {"what": what, "state": "ok" if good else bad, "found": observed, "remedy": "" if good else remedy}


def _system() -> Finding:
    return finding("system", platform.system() == "Linux", platform.platform(), "longrun runs on Linux")


def _python(image: bool) -> Finding:
    remedy = "build the image on a base with Python 3.11: make images BASE=" if image else "make install uses python3.11"
    return finding("python", sys.version_info[:2] == (3, 11), platform.python_version(), remedy)


def packages(prefix: Path = Path(sys.prefix)) -> list[Finding]:
    """Whether what is installed is what the locks say: those of this image, or else those of a checkout's runtime groups."""
    versions = installed(site_directories())
    if of_image := image_locks(prefix):
        return [_lock(lock, versions, "build the image again (make images) and use its new digest") for lock in of_image]
    return [_lock(LOCKS / f"{group}.txt", versions, "make install") for group in RUNTIME_GROUPS]


def _lock(lock: Path, versions: dict[str, str], remedy: str) -> Finding:
    wrong = not_as_locked(lock, versions)
    observed = f"{len(pins(lock))} packages as locked" if not wrong else "; ".join(wrong[:3])
    return finding(f"packages: {lock.stem}", not wrong, observed, remedy)


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
