"""Finds installed distributions: their recorded Python files, description and licence, and the owner of each shared file."""

import base64
import contextlib
import csv
import importlib.metadata
import os
import re
import stat
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from pathlib import Path

from components.errors import SourceError

MATHEMATICAL = frozenset({"mpmath", "networkx", "numpy", "opt-einsum", "patsy", "scikit-learn", "scipy", "statsmodels", "sympy"})
"""Distributions whose docstrings belong to the domain maths: they define and derive what they compute, mostly with formulae."""

_BLANK_LINE = re.compile(r"\r?\n\r?\n")

METADATA = "METADATA"
"""Name of a distribution's core metadata file, whose body is the description (PyPA core metadata specification 2.1 or later)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageFile:
    """One file that a distribution records and that exists."""

    path: str
    """Path relative to the installation directory, with forward slashes, such as `scipy/linalg/_basic.py`."""
    location: str
    """Absolute path on this machine."""
    size: int
    """Size in bytes."""
    modified: int
    """Modification time in ns since the epoch."""
    sha256: str
    """sha256 in hex that its distribution records for it; empty if there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """An installed distribution and the Python files it owns."""

    name: str
    """Normalised as in PEP 503: lower case, with single hyphens."""
    version: str
    licence: str
    """SPDX expression from the metadata; without one, its licence field or classifiers; without these, `unknown`."""
    metadata: PackageFile | None
    """The core metadata file, from which `description` reads the package description."""
    modules: tuple[PackageFile, ...]
    """Its `.py` files, sorted by path. A file that several of the requested distributions record belongs to the first by name."""
    linked: tuple[str, ...]
    """Other requested distributions that record some of the same files; all must be in the same split."""

    @property
    def mathematical(self) -> bool:
        """Whether its docstrings belong to the domain maths."""
        return self.name in MATHEMATICAL


def normalised(name: str) -> str:
    """The name normalised as in PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(names: Iterable[str]) -> tuple[Distribution, ...]:
    """The requested distributions, sorted by name.

    Raises:
        SourceError: a distribution is not installed, or its installer recorded no files.
    """
    installed = {name: _installed(name) for name in sorted({normalised(name) for name in names})}
    recorded = {name: list(_recorded(name, metadata)) for name, metadata in installed.items()}
    owners: dict[str, list[str]] = {}
    for name, files in recorded.items():
        for file in files:
            owners.setdefault(file.location, []).append(name)
    return tuple(_distribution(name, installed[name], recorded[name], owners) for name in installed)


def require_installed(name: str) -> None:
    """Raise `SourceError` if a distribution is not installed, or its installer recorded no files."""
    _record_of(name, _installed(normalised(name)))


def installation_stamp() -> str:
    """A string that changes when a distribution is installed or removed: the modification times of the search path in ns."""
    return " ".join(f"{entry} {Path(entry).stat().st_mtime_ns}" for entry in _search_path() if Path(entry).is_dir())


def locate(path: str) -> Path:
    """The path on this machine of a recorded file, given as `DISTRIBUTION/PATH`.

    Raises:
        SourceError: the distribution is not installed.
    """
    name, _, inside = path.partition("/")
    return _root(_installed(name)) / inside


def description(metadata: str) -> str:
    """The package description from the text of a core metadata file; may be empty."""
    return _fields_and_body(metadata)[1].strip()


def _fields_and_body(metadata: str) -> tuple[str, str]:
    """Split a core metadata file into its fields and the description, which `email` would parse slowly, line by line."""
    fields, *body = _BLANK_LINE.split(metadata, maxsplit=1)
    return fields, "".join(body)


def _installed(name: str) -> importlib.metadata.Distribution:
    for installed in importlib.metadata.Distribution.discover(name=name, path=_search_path()):
        return installed
    raise SourceError(f"python-environment: distribution {name!r} is not installed; install it or remove it from distributions")


def _search_path() -> list[str]:
    """`sys.path` without directories inside the installation.

    Some packages, such as Ray, add directories with vendored copies there when they are imported; what counts as installed must
    not depend on that.
    """
    roots = {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}
    return [entry for entry in sys.path if not roots & set(Path(entry).parents)]


def _root(installed: importlib.metadata.Distribution) -> Path:
    return Path(str(installed.locate_file("")))


def _recorded(name: str, installed: importlib.metadata.Distribution) -> Iterator[PackageFile]:
    # `installed.files` creates a path object for every recorded file, including headers, which is 60 times slower.
    root = str(_root(installed))
    for path, recorded, *_ in csv.reader(_record_of(name, installed).splitlines()):
        if path.endswith((".py", f".dist-info/{METADATA}")) and not path.startswith(("/", "..")):
            location = os.path.join(root, path)  # noqa: PTH118 path objects would take most of the time of listing tens of thousands
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                state = os.stat(location)  # noqa: PTH116
                if stat.S_ISREG(state.st_mode):
                    size, modified, digest = state.st_size, state.st_mtime_ns, _sha256(recorded)
                    yield PackageFile(path=path, location=location, size=size, modified=modified, sha256=digest)


def _record_of(name: str, installed: importlib.metadata.Distribution) -> str:
    record = installed.read_text("RECORD")
    if record is None:
        raise SourceError(f"python-environment: distribution {name!r} has no RECORD file; install it from a wheel")
    return record


def _sha256(recorded: str) -> str:
    """The digest in hex that a RECORD gives as URL-safe base64 without padding (PyPA, recording installed projects)."""
    algorithm, _, digest = recorded.partition("=")
    return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex() if algorithm == "sha256" else ""


def _distribution(
    name: str, installed: importlib.metadata.Distribution, recorded: list[PackageFile], owners: dict[str, list[str]]
) -> Distribution:
    modules = sorted((file for file in recorded if file.path.endswith(".py")), key=lambda file: file.path)
    metadata = _metadata(installed)
    sharing = {owner for file in modules for owner in owners[file.location]}
    return Distribution(
        name=name,
        version=str(metadata["Version"]),
        licence=_licence(metadata),
        metadata=next((file for file in recorded if file.path.endswith(METADATA)), None),
        modules=tuple(file for file in modules if owners[file.location][0] == name),
        linked=tuple(sorted(sharing - {name})),
    )


def _licence(metadata: Message) -> str:
    field = str(metadata.get("License") or "").strip()
    # Some fields contain the whole text of the licence; only a short single line is a name.
    name = field if "\n" not in field and len(field) <= 100 and field.upper() != "UNKNOWN" else ""
    classifiers = {c.rsplit(" :: ", 1)[-1] for c in metadata.get_all("Classifier") or [] if c.startswith("License :: ")}
    expression = str(metadata.get("License-Expression") or "")
    return expression or name or " AND ".join(sorted(classifiers - {"OSI Approved"})) or "unknown"


def _metadata(installed: importlib.metadata.Distribution) -> Message:
    # `installed.metadata` and `installed.version` would parse the whole file on each access.
    return message_from_string(_fields_and_body(installed.read_text(METADATA) or "")[0])
