"""Which locks a run needs, which of them are text that a corpus may be made of, and whether what is installed is what they name.

`python -m infra.distributions` ends the build of an image that holds something else than its locks; it imports no package.
"""

import functools
import importlib.metadata
import re
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from infra.bundle import REPOSITORY

LOCKS = REPOSITORY / "infra" / "locks"
"""One file for each dependency group, and one for what each build of torch holds."""

RUNTIME_GROUPS = ("core", "data", "train", "evaluate", "curation")
"""Locks of what a run imports on this machine; a cluster or tests need others besides."""

SOURCE_GROUPS = ("core", "data", "train", "evaluate")
"""Locks whose distributions `python-environment:` reads. Fixed: another one would change every corpus made of that source."""


def pins(lock: Path) -> dict[str, str]:
    """Version of every package that a lock names, by name."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


@functools.cache
def source_distributions() -> tuple[str, ...]:
    """Names of the distributions of `SOURCE_GROUPS`, sorted. Installing tests or tools does not change them."""
    return tuple(sorted({name for group in SOURCE_GROUPS for name in pins(LOCKS / f"{group}.txt")}))


def image_locks(prefix: Path = Path(sys.prefix)) -> tuple[Path, ...]:
    """The locks that the image was made of, which `infra/containers/install.sh` leaves beside its packages; none elsewhere."""
    return tuple(sorted((prefix / "locks").glob("*.txt")))


def installed(directories: Iterable[Path]) -> dict[str, str]:
    """Version of every distribution in these directories of installation, by its name as locks write it."""
    here = importlib.metadata.distributions(path=[str(directory) for directory in directories])
    return {_normal(distribution.name): distribution.version for distribution in here}


def not_as_locked(lock: Path, versions: dict[str, str]) -> list[str]:
    """What a lock pins and `versions`, those that are installed, lack or have otherwise."""
    have = {name: versions.get(_normal(name), "missing") for name in pins(lock)}
    return [f"{name} {have[name]} instead of {pin}" for name, pin in pins(lock).items() if not _satisfies(have[name], pin)]


def in_no_lock(locks: Iterable[Path], versions: dict[str, str]) -> list[str]:
    """What is installed and no lock names."""
    named = {_normal(name) for lock in locks for name in pins(lock)}
    return [f"{name} {version} is in no lock" for name, version in sorted(versions.items()) if name not in named]


def site_directories(prefix: str = sys.prefix) -> tuple[Path, ...]:
    """Where the packages of this environment are installed, or those of the interpreter that it was made with."""
    paths = (sysconfig.get_path(kind, vars={"base": prefix, "platbase": prefix}) for kind in ("purelib", "platlib"))
    return tuple(dict.fromkeys(map(Path, paths)))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _satisfies(version: str, pin: str) -> bool:
    """Builds of torch carry a suffix such as +cpu, which only the lock of that build names."""
    return version == pin or version.partition("+")[0] == pin


def _differences(locks: tuple[Path, ...]) -> list[str]:
    """One line for each package of an image that is not what its locks say."""
    if not locks:
        return [f"{Path(sys.prefix) / 'locks'} holds no lock: this is no image of infra/containers"]
    versions, of_base = installed(site_directories()), installed(site_directories(sys.base_prefix))
    return [
        *(line for lock in locks for line in not_as_locked(lock, versions)),
        *in_no_lock(locks, versions),
        *in_no_lock(locks, of_base),
    ]


if __name__ == "__main__":
    sys.exit("\n".join(_differences(image_locks())) or 0)
