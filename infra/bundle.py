"""The code that travels to a cluster with a run: our packages and locks, file by file, and nothing else from their folders."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
"""The folder of the packages: a checkout, or where they are installed."""

_KINDS = {".py", ".txt"}
"""Modules, and the locks that a task's environment digest is made of."""


def code_files(root: Path = REPOSITORY) -> tuple[str, ...]:
    """Absolute paths, sorted. Only what is listed here is taken: no home, no `.env`, no link to elsewhere."""
    packages = (root / package for package in ("components", "infra", "workflows"))
    files = (path for package in packages for path in package.rglob("*") if path.suffix in _KINDS)
    return tuple(sorted(str(path) for path in [root / "pyproject.toml", *files] if _is_ours(path, root)))


def code_version(root: Path = REPOSITORY) -> str:
    """32 hexadecimal digits over names and bytes of the code files: the version that tasks have on a cluster."""
    return version_of(map(Path, code_files(root)), root)


def version_of(files: Iterable[Path], root: Path) -> str:
    """32 hexadecimal digits over the files' names below `root` and their bytes."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:32]


def _is_ours(path: Path, root: Path) -> bool:
    hidden = any(name.startswith(".") for name in path.relative_to(root).parts)
    return path.is_file() and not path.is_symlink() and not hidden
