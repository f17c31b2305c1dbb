"""Compares installed packages with the locks, and lists the packages whose text can be a corpus.

`python -m infra.distributions` fails the build of an image whose packages differ from its locks. It imports no third-party
package.
"""

import functools
import importlib.metadata
import re
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from infra.bundle import PROJECT_ROOT

LOCKS = PROJECT_ROOT / "infra" / "locks"
"""Directory of the locks: one file per dependency group, and one per build of torch."""

RUNTIME_GROUPS = ("core", "data", "train", "evaluate", "curation")
"""Locks of the packages that a run on this machine imports; clusters and tests need further locks."""

SOURCE_GROUPS = ("core", "data", "train", "evaluate")
"""Locks whose packages the source `python-environment:` reads. Fixed: another lock would change every corpus of that source."""


def pins(lock: Path) -> dict[str, str]:
    """Package name -> version of every package in a lock."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


@functools.cache
def source_distributions() -> tuple[str, ...]:
    """Names of the packages in the locks of `SOURCE_GROUPS`, sorted. Installed test tools do not change them."""
    return tuple(sorted({name for group in SOURCE_GROUPS for name in pins(LOCKS / f"{group}.txt")}))


def image_locks(prefix: Path = Path(sys.prefix)) -> tuple[Path, ...]:
    """Locks from which this image was built, as `infra/containers/install.sh` copied them; empty outside images."""
    return tuple(sorted((prefix / "locks").glob("*.txt")))


def installed(directories: Iterable[Path]) -> dict[str, str]:
    """Package name, normalised as in locks, -> version of every package installed in these directories."""
    here = importlib.metadata.distributions(path=[str(directory) for directory in directories])
    return {_normal(distribution.name): distribution.version for distribution in here}


def not_as_locked(lock: Path, versions: dict[str, str]) -> list[str]:
    """One line for each package of a lock that is missing in `versions`, the installed ones, or has another version."""
    have = {name: versions.get(_normal(name), "missing") for name in pins(lock)}
    return [f"{name} {have[name]} instead of {pin}" for name, pin in pins(lock).items() if not _satisfies(have[name], pin)]


def in_no_lock(locks: Iterable[Path], versions: dict[str, str]) -> list[str]:
    """One line for each installed package that is in none of the locks."""
    named = {_normal(name) for lock in locks for name in pins(lock)}
    return [f"{name} {version} is in no lock" for name, version in sorted(versions.items()) if name not in named]


def site_directories(prefix: str = sys.prefix) -> tuple[Path, ...]:
    """Directories in which packages are installed below `prefix`: this environment's, or its base interpreter's."""
    paths = (sysconfig.get_path(kind, vars={"base": prefix, "platbase": prefix}) for kind in ("purelib", "platlib"))
    return tuple(dict.fromkeys(map(Path, paths)))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _satisfies(version: str, pin: str) -> bool:
    """Whether a version satisfies a pin. Builds of torch have a suffix such as +cpu, which only that build's own lock
    contains."""
    return version == pin or version.partition("+")[0] == pin


def _differences(locks: tuple[Path, ...]) -> list[str]:
    """One line for each difference between an image's packages and its locks."""
    if not locks:
        return [f"{Path(sys.prefix) / 'locks'} contains no lock: this is not an image built from infra/containers"]
    versions, of_base = installed(site_directories()), installed(site_directories(sys.base_prefix))
    return [
        *(line for lock in locks for line in not_as_locked(lock, versions)),
        *in_no_lock(locks, versions),
        *in_no_lock(locks, of_base),
    ]


if __name__ == "__main__":
    sys.exit("\n".join(_differences(image_locks())) or 0)
