"""`longrun doctor`: check whether this machine and this installation can run longrun."""

import platform
import shutil
import sys
from pathlib import Path

import psutil

from components.errors import HomeError
from infra.bundle import PROJECT_ROOT
from infra.distributions import LOCKS, RUNTIME_GROUPS, image_locks, installed, not_as_locked, pins, site_directories
from infra.settings import Settings, usable_home
from workflows.resources import in_gib

_MIN_MEMORY = 6 * 2**30
_MIN_DISK = 3 * 2**30

Finding = dict[str, str]
"""What was checked (`what`), its state (ok, note, warning or failed), what was observed (`found`), and the remedy."""


def examine(settings: Settings) -> list[Finding]:
    """Findings about this machine and this installation."""
    return [_system(), _python(bool(image_locks())), *packages(), _memory(), _home(settings), _disk(settings), _device()]


def finding(what: str, good: bool, observed: str, remedy: str, *, bad: str = "failed") -> Finding:
    """A finding with state `ok` if `good`, or else with state `bad` and its remedy."""
    return {"what": what, "state": "ok" if good else bad, "found": observed, "remedy": "" if good else remedy}


def _system() -> Finding:
    return finding(
        "system", platform.system() == "Linux", platform.platform(), "use a Linux machine; longrun runs on no other system"
    )


def _python(image: bool) -> Finding:
    remedy = (
        "rebuild the image on a base with Python 3.11: make images BASE=IMAGE"
        if image
        else "install python3.11, then: make install"
    )
    return finding("python", sys.version_info[:2] == (3, 11), platform.python_version(), remedy)


def packages(prefix: Path = Path(sys.prefix)) -> list[Finding]:
    """Whether the installed packages match the lock files: those of this image, or else those of the runtime groups."""
    versions = installed(site_directories())
    if of_image := image_locks(prefix):
        return [
            _lock(lock, versions, "rebuild the image (make images), and set its new digest in the profile") for lock in of_image
        ]
    remedy = "make install" if (PROJECT_ROOT / "Makefile").is_file() else "install the wheel again with its dependencies"
    return [_lock(LOCKS / f"{group}.txt", versions, remedy) for group in RUNTIME_GROUPS]


def _lock(lock: Path, versions: dict[str, str], remedy: str) -> Finding:
    wrong = not_as_locked(lock, versions)
    observed = f"all {len(pins(lock))} packages have the locked versions" if not wrong else "; ".join(wrong[:3])
    return finding(f"packages: {lock.stem}", not wrong, observed, remedy)


def _memory() -> Finding:
    available = psutil.virtual_memory().available
    return finding(
        "memory",
        available >= _MIN_MEMORY,
        f"{in_gib(available)} available",
        "free some memory: recipe smoke needs up to 6 GiB",
        bad="warning",
    )


def _home(settings: Settings) -> Finding:
    try:
        usable_home(settings.home)
    except HomeError as error:
        return finding("home", False, str(error), "choose another directory with --home")
    return finding("home", True, str(settings.home), "")


def _disk(settings: Settings) -> Finding:
    directory = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(directory).free
    return finding(
        "disk", free >= _MIN_DISK, f"{in_gib(free)} free", "free some disk space: recipe smoke needs up to 3 GiB", bad="warning"
    )


def _device() -> Finding:
    driver = shutil.which("nvidia-smi")
    return finding("accelerator", True, "NVIDIA driver found" if driver else "no NVIDIA driver: training runs on the CPU", "")
