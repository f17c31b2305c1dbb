"""The raw files behind the sources: found, sampled, located again, and fingerprinted, without reading a document."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.artifacts import sha256_of_file
from components.curation.config import PYTHON_ENVIRONMENT, CurationConfig, Source
from components.errors import ConfigError, SourceError
from components.python_environment import Distribution, PackageFile, distributions
from components.python_environment import locate as locate_in_environment

KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
    ".md": "text",
    ".rst": "text",
    ".tex": "text",
    ".py": "text",
}
"""What a file holds, by its suffix; JSON lines and text may also be compressed."""

COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFile:
    """One file to read."""

    uri: str
    """As the source names it: a path below the source's URI, or `python-environment:DISTRIBUTION/PATH`."""
    location: str
    """Absolute path on this machine."""
    size: int
    """Bytes."""
    kind: str
    """jsonl, parquet, text, module (a `.py` file of a distribution) or description (its metadata)."""
    takers: tuple[int, ...]
    """Positions of the sources that take documents from it, in the config."""
    group: str = ""
    """What the split must not part: the distribution; empty where each document stands alone."""
    licence: str
    row_share: float = 1.0
    """Share of the rows to take, by hash."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Every file to read, and what the split needs to know of the distributions."""

    files: tuple[RawFile, ...]
    """In the order of sources and URIs."""
    linked: dict[str, tuple[str, ...]]
    """For each distribution, the others that record some of its files."""


def list_files(config: CurationConfig) -> Listing:
    """Find the raw files of all sources and choose the samples.

    Raises:
        SourceError: a source does not exist, is empty, holds no file of a known kind, or is not installed.
        ConfigError: a URI of an unknown scheme, or `python-environment:` without distributions.
    """
    local = [
        file
        for position, source in enumerate(config.sources)
        if source.uri != PYTHON_ENVIRONMENT
        for file in _sampled(_local_files(source, position), source, config.seed)
    ]
    python = [(position, source) for position, source in enumerate(config.sources) if source.uri == PYTHON_ENVIRONMENT]
    installed = {names: distributions(names) for names in {_names(source): None for _, source in python}}
    taken = [
        file
        for position, source in python
        for file in _sampled(_package_files(installed[source.distributions], source, position), source, config.seed)
    ]
    linked = {d.name: d.linked for found in installed.values() for d in found}
    return Listing(files=(*local, *_merged(taken)), linked=linked)


def fingerprint(config: CurationConfig) -> str:
    """sha256 over the names and bytes of the files that would be read now, in hex.

    Raises what `list_files` raises.
    """
    digest = hashlib.sha256()
    for file in list_files(config).files:
        digest.update(f"{file.uri}\0{sha256_of_file(Path(file.location))}\n".encode())
    return digest.hexdigest()


def locate(uri: str) -> Path:
    """Where the raw file that `raw.parquet` calls `uri` is on this machine.

    Raises:
        SourceError: its distribution is not installed.
    """
    if uri.startswith(PYTHON_ENVIRONMENT):
        return locate_in_environment(uri.removeprefix(PYTHON_ENVIRONMENT))
    return _path_of(uri)


def draw(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on the seed and the name alone."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / 2**56


def kind_of(path: Path) -> str:
    """What a file holds, or an empty string."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        inner = KINDS.get(suffixes[-2], "") if len(suffixes) > 1 else ""
        return "" if inner == "parquet" else inner
    return KINDS.get(suffixes[-1], "") if suffixes else ""


def _path_of(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if parts.scheme and "://" in uri:
        allowed = f"{PYTHON_ENVIRONMENT}, a path, or file://"
        raise ConfigError(f"source {uri!r}: scheme {parts.scheme!r} is not supported; allowed: {allowed}")
    return Path(uri).expanduser().absolute()


def _local_files(source: Source, position: int) -> list[RawFile]:
    root = _path_of(source.uri)
    if not root.exists():
        raise SourceError(f"source {source.name}: {root} does not exist")
    found = [path for path in sorted(root.rglob("*")) if path.is_file() and kind_of(path)] if root.is_dir() else [root]
    if not found or not kind_of(found[0]):
        known = ", ".join(KINDS)
        raise SourceError(f"source {source.name}: no file to read; allowed: {known}, text and JSON lines also as .gz or .zst")
    files = [_local_file(path, root, source, position) for path in found]
    if not sum(file.size for file in files):
        raise SourceError(f"source {source.name}: {root} is empty (0 bytes)")
    return files


def _local_file(path: Path, root: Path, source: Source, position: int) -> RawFile:
    inside = f"/{path.relative_to(root).as_posix()}" if path != root else ""
    return RawFile(
        uri=source.uri.rstrip("/") + inside,
        location=str(path),
        size=path.stat().st_size,
        kind=kind_of(path),
        takers=(position,),
        licence=source.licence,
    )


def _names(source: Source) -> tuple[str, ...]:
    if not source.distributions:
        raise ConfigError(f"source {source.name}: Source.distributions is empty; allowed: names of installed distributions")
    return source.distributions


def _package_files(found: Iterable[Distribution], source: Source, position: int) -> list[RawFile]:
    def raw(distribution: Distribution, file: PackageFile, kind: str) -> RawFile:
        return RawFile(
            uri=f"{PYTHON_ENVIRONMENT}{distribution.name}/{file.path}",
            location=file.location,
            size=file.size,
            kind=kind,
            takers=(position,),
            group=distribution.name,
            licence=distribution.licence,
        )

    files = []
    for distribution in found:
        if source.domain == "prose" and distribution.metadata:
            files.append(raw(distribution, distribution.metadata, "description"))
        if source.domain == "code" or (source.domain == "maths") == distribution.mathematical:
            files += [raw(distribution, file, "module") for file in distribution.modules]
    return files


def _sampled(files: list[RawFile], source: Source, seed: int) -> list[RawFile]:
    """Whole files in the order of their draw until the sample is full; rows of JSONL and Parquet by their share."""
    if source.sample_bytes is None:
        return files
    share = min(1.0, source.sample_bytes / max(1, sum(file.size for file in files)))
    taken = [replace(file, row_share=share) for file in files if file.kind in ("jsonl", "parquet")]
    room = source.sample_bytes - sum(file.size * file.row_share for file in taken)
    # Descriptions come first: they are few, and the only prose that was written for readers who do not know the package.
    whole = [file for file in files if file.kind not in ("jsonl", "parquet")]
    for file in sorted(whole, key=lambda file: (file.kind != "description", draw(seed, file.uri), file.uri)):
        if room <= 0:
            break
        taken.append(file)
        room -= file.size
    return sorted(taken, key=lambda file: file.uri)


def _merged(files: Iterable[RawFile]) -> list[RawFile]:
    """One entry per file of an environment, with all its takers, so that it is read and parsed once."""
    merged: dict[str, RawFile] = {}
    for file in files:
        known = merged.get(file.uri)
        merged[file.uri] = replace(known, takers=known.takers + file.takers) if known else file
    return [merged[uri] for uri in sorted(merged)]
