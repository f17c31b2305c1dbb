"""The raw files of the sources: listed, sampled, located again, and fingerprinted, without reading a document."""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from components.curation.reading.benchmarks import files_of
from components.curation.reading.config import PYTHON_ENVIRONMENT, SHIPPED, Inputs, Reading, Source
from components.curation.reading.kinds import COMPRESSED, KINDS, OWN, ROWS, kind_of
from components.curation.text.draw import draw
from components.errors import ConfigError, SourceError
from components.locations import FileEntry, find, in_bucket, path_of, read_bytes, sha256_at, stamp_of, state_of
from components.python_environment import Distribution, PackageFile, distributions
from components.python_environment import locate as locate_in_environment

HF_STATE = "state.json"
"""Lists the Arrow files that are the data of a saved Hugging Face dataset (`Dataset.save_to_disk`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFile:
    """One file to read."""

    source: str
    """Name of the first source that takes documents from it."""
    path: str
    """Path inside its source with forward slashes, the same wherever that lies; of an environment, `DISTRIBUTION/PATH`."""
    uri: str
    """Where it lies: what `locate` takes."""
    location: str
    """Absolute path on this machine, or URI in a bucket."""
    size: int
    """Bytes."""
    kind: str
    """jsonl, parquet, arrow, warc (WET too), text, module (a `.py` file of a distribution), description (of one), or own."""
    source_indices: tuple[int, ...]
    """Positions of the sources that take documents from it, in the config."""
    group: str = ""
    """What the split must keep together: the distribution; empty if each document is a group of its own."""
    licence: str
    row_share: float = 1.0
    """Share of the rows to take, by hash."""
    stamp: str
    """See `components.locations.FileEntry`."""
    recorded: str = ""
    """sha256 in hex that its distribution records; empty where it records none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedFile:
    """A file of a source that is not read."""

    source: str
    path: str
    size: int
    """Bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Every file to read, and what the split needs to know about distributions."""

    files: tuple[RawFile, ...]
    """In the order of sources and paths."""
    linked: dict[str, tuple[str, ...]]
    """For each distribution, the others that list some of its files."""
    skipped: tuple[SkippedFile, ...]
    """The other files of the sources, of kinds that are not read."""

    def skipped_by_suffix(self) -> dict[str, int]:
        """How many files are not read, by suffix, sorted."""
        return dict(sorted(Counter(_suffix(file.path) for file in self.skipped).items()))


def list_files(reading: Reading) -> Listing:
    """List the raw files of all sources and choose the samples.

    Raises:
        SourceError: a source does not exist, is empty, holds no file of a known kind, or is not installed.
        ConfigError: a URI of an unknown scheme, or `python-environment:` without distributions.
        StoreError: an object store cannot be reached, or refuses.
    """
    listed = [(source, *_files_of(source, n)) for n, source in enumerate(reading.sources) if source.uri != PYTHON_ENVIRONMENT]
    files = [file for source, readable, _ in listed for file in _sampled(readable, source, reading.seed)]
    skipped = tuple(file for _, _, others in listed for file in others)

    python = [(position, source) for position, source in enumerate(reading.sources) if source.uri == PYTHON_ENVIRONMENT]
    installed = {names: distributions(names) for names in {_names(source): None for _, source in python}}
    package_files = [
        file
        for position, source in python
        for file in _sampled(_package_files(installed[source.distributions], source, position), source, reading.seed)
    ]
    linked = {d.name: d.linked for group in installed.values() for d in group}
    return Listing(files=(*files, *_merged(package_files)), linked=linked, skipped=skipped)


def fingerprint(inputs: Inputs) -> str:
    """sha256 over the names and bytes (for objects in a store, their ETags) of the files that would be read now, in hex.

    Names are inside their sources: where these lie is no part of it.

    Raises what `list_files` raises.
    """
    files = _files(inputs, list_files(inputs.reading))
    return _digest(f"{name}\0{state_of(location) if location else ''}\n" for name, location, _ in files)


def stamp(inputs: Inputs, listing: Listing) -> str:
    """sha256 over the names, sizes and stamps of the files that `fingerprint` covers, in hex; no document is read.

    Raises what `list_files` raises.
    """
    return _digest(f"{name}\0{stamped}\n" for name, _, stamped in _files(inputs, listing))


Input = tuple[str, str, str]
"""A name, the location of the file (empty: in the code), and its size and stamp."""


def _files(inputs: Inputs, listing: Listing) -> Iterator[Input]:
    references = list_files(replace(inputs.reading, sources=inputs.references)).files if inputs.references else ()
    for file in (*listing.files, *references):
        yield f"{file.source}\0{file.path}", file.location, f"{file.size} {file.stamp}"
    for language, name in sorted(inputs.flagged_words.items()):
        location = "" if name == SHIPPED else locate(name)
        yield language, location, stamp_of(location) if location else ""
    for benchmark in inputs.benchmarks:
        for entry in files_of(benchmark):
            yield f"{benchmark.name}\0{entry.relative}", entry.location, f"{entry.size} {entry.stamp}"


def _digest(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()


def locate(uri: str) -> str:
    """The location of a raw file by its `uri` in `locations.parquet`: a path on this machine, or a URI in a bucket.

    Raises:
        SourceError: its distribution is not installed.
    """
    if uri.startswith(PYTHON_ENVIRONMENT):
        return str(locate_in_environment(uri.removeprefix(PYTHON_ENVIRONMENT)))
    return uri if in_bucket(uri) else str(path_of(uri))


def _suffix(path: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    return "".join(suffixes[-2:] if suffixes and suffixes[-1] in COMPRESSED else suffixes[-1:]) or "none"


def _files_of(source: Source, position: int) -> tuple[list[RawFile], list[SkippedFile]]:
    """The files of a source that are read, and the others that are skipped."""
    entries = find(source.uri, source.label)
    readable = _own_files(entries, source) if source.reader else _data_files(entries)
    if not readable and source.reader:
        raise SourceError(
            f"source {source.label}: no file to read; allowed: {', '.join(source.suffixes) or 'all but hidden files'}"
        )
    if not readable:
        kinds = ", ".join(KINDS)
        compressed = "JSON lines (.json too), text and WARC also as .gz or .zst"
        raise SourceError(f"source {source.label}: no file to read; allowed: {kinds}; {compressed}")
    if not sum(file.size for file in readable):
        raise SourceError(f"source {source.label} is empty (0 bytes)")
    read = {file.location for file in readable}
    others = [file for file in entries if file.location not in read]
    skipped = [SkippedFile(source=source.name, path=file.relative, size=file.size) for file in others]
    return [_raw(source, file, position) for file in readable], skipped


def _raw(source: Source, file: FileEntry, position: int) -> RawFile:
    return RawFile(
        source=source.name,
        path=file.relative,
        uri=file.location,
        location=file.location,
        size=file.size,
        kind=OWN if source.reader else kind_of(PurePath(file.location)),
        source_indices=(position,),
        licence=source.licence,
        stamp=file.stamp,
    )


def _own_files(entries: list[FileEntry], source: Source) -> list[FileEntry]:
    """The files for the reader of a source."""

    def is_chosen(file: FileEntry) -> bool:
        names = PurePath(file.relative or PurePath(file.location).name).parts
        if source.suffixes:
            return names[-1].lower().endswith(tuple(suffix.lower() for suffix in source.suffixes))
        return not any(name.startswith(".") for name in names)

    return [file for file in entries if is_chosen(file)]


def _data_files(entries: list[FileEntry]) -> list[FileEntry]:
    """The readable ones, without the caches that a saved Hugging Face dataset keeps beside the data listed in `state.json`."""
    states = {file.location.rpartition("/")[0]: file.location for file in entries if PurePath(file.location).name == HF_STATE}
    data_names = {folder: _data_names(location) for folder, location in states.items()}

    def is_data(file: FileEntry) -> bool:
        folder, _, name = file.location.rpartition("/")
        return not name.endswith(".arrow") or folder not in data_names or name in data_names[folder]

    return [file for file in entries if kind_of(PurePath(file.location)) and is_data(file)]


def _data_names(state: str) -> frozenset[str]:
    try:
        return frozenset(file["filename"] for file in json.loads(read_bytes(state))["_data_files"])
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{state}: no state of a saved Hugging Face dataset ({type(error).__name__}); save it again") from error


def _names(source: Source) -> tuple[str, ...]:
    if not source.distributions:
        raise ConfigError(f"source {source.label}: Source.distributions is empty; allowed: names of installed distributions")
    return source.distributions


def _package_files(installed: Iterable[Distribution], source: Source, position: int) -> list[RawFile]:
    def raw(distribution: Distribution, file: PackageFile, kind: str) -> RawFile:
        return RawFile(
            source=source.name,
            path=f"{distribution.name}/{file.path}",
            uri=f"{PYTHON_ENVIRONMENT}{distribution.name}/{file.path}",
            location=file.location,
            size=file.size,
            kind=kind,
            source_indices=(position,),
            group=distribution.name,
            licence=distribution.licence,
            stamp=str(file.modified),
            recorded=file.sha256,
        )

    files = []
    for distribution in installed:
        if source.domain == "prose" and distribution.metadata:
            files.append(raw(distribution, distribution.metadata, "description"))
        if source.domain == "code" or (source.domain == "maths") == distribution.mathematical:
            files += [raw(distribution, file, "module") for file in distribution.modules]
    return files


def _sampled(files: list[RawFile], source: Source, seed: int) -> list[RawFile]:
    """Whole files in the order of their draw until the sample is full; of files with many documents, a share of the rows.

    Files are drawn by what they hold: under other names, or in another folder, the same ones are taken.
    """
    if source.sample_bytes is None or sum(file.size for file in files) <= source.sample_bytes:
        return files
    share = source.sample_bytes / sum(file.size for file in files)
    taken = [replace(file, row_share=share) for file in files if file.kind in ROWS]
    remaining = source.sample_bytes - sum(file.size * file.row_share for file in taken)
    # Descriptions come first: they are few, and the only prose written for readers who do not know the package.
    whole = [file for file in files if file.kind not in ROWS]
    for file in sorted(whole, key=lambda file: (file.kind != "description", draw(seed, _content(file)), file.group, file.path)):
        if remaining <= 0:
            break
        taken.append(file)
        remaining -= file.size
    return sorted(taken, key=lambda file: file.path)


def _content(file: RawFile) -> str:
    """sha256 of a file in hex; of an environment's, which has tens of thousands, as its distribution records it."""
    return file.recorded or _sha256(file.location, file.size, file.stamp)


@functools.lru_cache(maxsize=1 << 16)
def _sha256(location: str, size: int, stamp: str) -> str:
    """sha256 in hex; size and stamp tell a file that has changed since."""
    return sha256_at(location)


def _merged(files: Iterable[RawFile]) -> list[RawFile]:
    """One entry per file of an environment, with all sources that use it, so that it is read and parsed once."""
    merged: dict[str, RawFile] = {}
    for file in files:
        known = merged.get(file.path)
        merged[file.path] = replace(known, source_indices=known.source_indices + file.source_indices) if known else file
    return [merged[path] for path in sorted(merged)]
