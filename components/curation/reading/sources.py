"""The raw files behind the sources: found, sampled, located again, and fingerprinted, without reading a document."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from components.curation.config import PYTHON_ENVIRONMENT, SHIPPED, CurationConfig, Quality, Source
from components.curation.reading.benchmarks import files_of
from components.curation.reading.locations import S3, FileEntry, find, path_of, read_bytes, stamp_of, state_of
from components.curation.text.draw import draw
from components.errors import ConfigError, SourceError
from components.python_environment import Distribution, PackageFile, distributions
from components.python_environment import locate as locate_in_environment

KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".warc": "warc",
    ".wet": "warc",
    ".txt": "text",
    ".md": "text",
    ".rst": "text",
    ".tex": "text",
    ".py": "text",
}
"""What a file holds, by its suffix; JSON lines, text and WARC may also be compressed."""

JSON_LINES = ".json"
"""What some corpora (C4, Dolma) call JSON lines if compressed; otherwise such a file is one value, often of others."""

TABLES = ("parquet", "arrow")
"""Kinds that compress by themselves."""

ROWS = ("jsonl", "warc", *TABLES)
"""Kinds that hold many documents: a sample takes a share of each."""

HF_STATE = "state.json"
"""Beside the Arrow files of a saved Hugging Face dataset: which of them are its data (`Dataset.save_to_disk`)."""

COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFile:
    """One file to read."""

    uri: str
    """As the source names it: a path below the source's URI, or `python-environment:DISTRIBUTION/PATH`."""
    location: str
    """Absolute path on this machine, or `s3://` URI."""
    size: int
    """Bytes."""
    kind: str
    """jsonl, parquet, arrow, warc (WET too), text, module (a `.py` file of a distribution) or description (its metadata)."""
    source_indices: tuple[int, ...]
    """Positions of the sources that take documents from it, in the config."""
    group: str = ""
    """What the split must not part: the distribution; empty where each document stands alone."""
    licence: str
    row_share: float = 1.0
    """Share of the rows to take, by hash."""
    stamp: str
    """See `components.curation.reading.locations.FileEntry`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedFile:
    """A file of a source that is not read."""

    source: str
    uri: str
    size: int
    """Bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Every file to read, and what the split needs to know of the distributions."""

    files: tuple[RawFile, ...]
    """In the order of sources and URIs."""
    linked: dict[str, tuple[str, ...]]
    """For each distribution, the others that record some of its files."""
    skipped: tuple[SkippedFile, ...]
    """Files beside those, of kinds that are not read."""

    def skipped_by_suffix(self) -> dict[str, int]:
        """How many files are not read, by suffix, sorted."""
        return dict(sorted(Counter(_suffix(file.uri) for file in self.skipped).items()))


def list_files(config: CurationConfig) -> Listing:
    """Find the raw files of all sources and choose the samples.

    Raises:
        SourceError: a source does not exist, is empty, holds no file of a known kind, or is not installed.
        ConfigError: a URI of an unknown scheme, or `python-environment:` without distributions.
        StoreError: an object store cannot be reached, or refuses.
    """
    listed = [(source, *_files_of(source, n)) for n, source in enumerate(config.sources) if source.uri != PYTHON_ENVIRONMENT]
    local = [file for source, known, _ in listed for file in _sampled(known, source, config.seed)]
    skipped = tuple(file for _, _, others in listed for file in others)
    python = [(position, source) for position, source in enumerate(config.sources) if source.uri == PYTHON_ENVIRONMENT]
    installed = {names: distributions(names) for names in {_names(source): None for _, source in python}}
    taken = [
        file
        for position, source in python
        for file in _sampled(_package_files(installed[source.distributions], source, position), source, config.seed)
    ]
    linked = {d.name: d.linked for found in installed.values() for d in found}
    return Listing(files=(*local, *_merged(taken)), linked=linked, skipped=skipped)


def fingerprint(config: CurationConfig) -> str:
    """sha256 over the names and bytes (of objects in a store, their ETags) of the files that would be read now, those of
    the benchmarks, the references of quality and the lists of flagged words too, in hex.

    Raises what `list_files` raises.
    """
    return _digest(
        f"{name}\0{state_of(location) if location else ''}\n" for name, location, _ in _inputs(config, list_files(config))
    )


def stamp(config: CurationConfig, listing: Listing) -> str:
    """sha256 over the names, sizes and stamps of what `fingerprint` covers, in hex; no source is read.

    Raises what `list_files` raises.
    """
    return _digest(f"{name}\0{stamped}\n" for name, _, stamped in _inputs(config, listing))


Input = tuple[str, str, str]
"""A name, where the file is (empty: in the code), and its size and stamp."""


def _inputs(config: CurationConfig, listing: Listing) -> Iterator[Input]:
    references = list_files(reading_of_references(config)).files if config.quality.references else ()
    for file in (*listing.files, *references):
        yield file.uri, file.location, f"{file.size} {file.stamp}"
    for language, name in sorted(config.flagged_words.items()):
        place = "" if name == SHIPPED else locate(name)
        yield language, place, place and stamp_of(place)
    for benchmark in config.benchmarks:
        for found in files_of(benchmark):
            yield f"{benchmark.name}\0{found.relative}", found.location, f"{found.size} {found.stamp}"


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()


def reading_of_references(config: CurationConfig) -> CurationConfig:
    """How the references of quality are read: as sources are, but neither scored nor searched."""
    return reading_of(config, config.quality.references, quality=Quality(), flagged_words={}, benchmarks=(), samples=0)


def reading_of(config: CurationConfig, sources: tuple[Source, ...], **changes: Any) -> CurationConfig:
    """The config for reading other sources, without what it says of the mixture: that names domains and languages of its own."""
    mixture: dict[str, Any] = {"max_epochs_by_domain": {}, "language_shares": {}, "language_temperature": None}
    return replace(config, sources=sources, **mixture, **changes)


def locate(uri: str) -> str:
    """Where the raw file that `raw.parquet` calls `uri` is: a path on this machine, or an `s3://` URI.

    Raises:
        SourceError: its distribution is not installed.
    """
    if uri.startswith(PYTHON_ENVIRONMENT):
        return str(locate_in_environment(uri.removeprefix(PYTHON_ENVIRONMENT)))
    return uri if uri.startswith(S3) else str(path_of(uri))


def kind_of(path: PurePath) -> str:
    """What a file holds, or an empty string."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        plain = suffixes[-2] if len(suffixes) > 1 else ""
        inner = "jsonl" if plain == JSON_LINES else KINDS.get(plain, "")
        return "" if inner in TABLES else inner
    return KINDS.get(suffixes[-1], "") if suffixes else ""


def _suffix(uri: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePath(uri).suffixes]
    return "".join(suffixes[-2:] if suffixes and suffixes[-1] in COMPRESSED else suffixes[-1:]) or "none"


def _files_of(source: Source, position: int) -> tuple[list[RawFile], list[SkippedFile]]:
    """The files of a source that are read, and the others."""
    found = find(source.uri, source.name)
    known = _data_files([file for file in found if kind_of(PurePath(file.location))], found)
    if not known:
        kinds = ", ".join(KINDS)
        compressed = "JSON lines (.json too), text and WARC also as .gz or .zst"
        raise SourceError(f"source {source.name}: no file to read; allowed: {kinds}; {compressed}")
    if not sum(file.size for file in known):
        raise SourceError(f"source {source.name}: {source.uri} is empty (0 bytes)")
    read = {file.location for file in known}
    others = [
        SkippedFile(source=source.uri, uri=_uri(source, file), size=file.size) for file in found if file.location not in read
    ]
    return [_raw(source, file, position) for file in known], others


def _uri(source: Source, file: FileEntry) -> str:
    return source.uri.rstrip("/") + (f"/{file.relative}" if file.relative else "")


def _raw(source: Source, file: FileEntry, position: int) -> RawFile:
    return RawFile(
        uri=_uri(source, file),
        location=file.location,
        size=file.size,
        kind=kind_of(PurePath(file.location)),
        source_indices=(position,),
        licence=source.licence,
        stamp=file.stamp,
    )


def _data_files(known: list[FileEntry], found: list[FileEntry]) -> list[FileEntry]:
    """Without the caches that a saved Hugging Face dataset keeps beside its data, which `state.json` tells apart."""
    states = {file.location.rpartition("/")[0]: file.location for file in found if PurePath(file.location).name == HF_STATE}
    named = {folder: _named_by(location) for folder, location in states.items()}

    def is_data(file: FileEntry) -> bool:
        folder, _, name = file.location.rpartition("/")
        return not name.endswith(".arrow") or folder not in named or name in named[folder]

    return [file for file in known if is_data(file)]


def _named_by(state: str) -> frozenset[str]:
    try:
        return frozenset(file["filename"] for file in json.loads(read_bytes(state))["_data_files"])
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{state}: no state of a saved Hugging Face dataset ({type(error).__name__}); save it again") from error


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
            source_indices=(position,),
            group=distribution.name,
            licence=distribution.licence,
            stamp=str(file.modified),
        )

    files = []
    for distribution in found:
        if source.domain == "prose" and distribution.metadata:
            files.append(raw(distribution, distribution.metadata, "description"))
        if source.domain == "code" or (source.domain == "maths") == distribution.mathematical:
            files += [raw(distribution, file, "module") for file in distribution.modules]
    return files


def _sampled(files: list[RawFile], source: Source, seed: int) -> list[RawFile]:
    """Whole files in the order of their draw until the sample is full; rows of files that hold many by their share."""
    if source.sample_bytes is None:
        return files
    share = min(1.0, source.sample_bytes / max(1, sum(file.size for file in files)))
    taken = [replace(file, row_share=share) for file in files if file.kind in ROWS]
    room = source.sample_bytes - sum(file.size * file.row_share for file in taken)
    # Descriptions come first: they are few, and the only prose that was written for readers who do not know the package.
    whole = [file for file in files if file.kind not in ROWS]
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
        merged[file.uri] = replace(known, source_indices=known.source_indices + file.source_indices) if known else file
    return [merged[uri] for uri in sorted(merged)]
