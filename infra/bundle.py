"""Lists the files that are uploaded to a cluster with a run: our packages and locks, and nothing else from their folders."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[1]
"""The folder that contains the packages: a checkout, or the installation directory."""

_KINDS = {".py", ".txt"}
"""Suffixes of the files that are uploaded: modules, and the locks from which a task's environment digest is computed."""


def code_files(root: Path = PROJECT_ROOT) -> tuple[str, ...]:
    """Absolute paths of the files to upload, sorted. Hidden files and links are left out."""
    packages = (root / package for package in ("components", "infra", "workflows"))
    files = (path for package in packages for path in package.rglob("*") if path.suffix in _KINDS)
    return tuple(sorted(str(path) for path in [root / "pyproject.toml", *files] if _is_ours(path, root)))


def code_version(root: Path = PROJECT_ROOT) -> str:
    """The version of tasks on a cluster: 32 hexadecimal digits of a hash over names and bytes of the code files."""
    return version_of(map(Path, code_files(root)), root)


def version_of(files: Iterable[Path], root: Path) -> str:
    """32 hexadecimal digits of a hash over the bytes of files and their paths relative to `root`."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:32]


def _is_ours(path: Path, root: Path) -> bool:
    hidden = any(name.startswith(".") for name in path.relative_to(root).parts)
    return path.is_file() and not path.is_symlink() and not hidden
