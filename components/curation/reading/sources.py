"""Lists, samples, locates and fingerprints the raw files of the sources, without parsing documents."""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from components.curation.reading.benchmarks import files_of
from components.curation.reading.config import PYTHON_ENVIRONMENT, SHIPPED, UNKNOWN_LICENCE, Inputs, Reading, Source
from components.curation.reading.kinds import COMPRESSED, KINDS, OWN, ROWS, kind_of
from components.curation.text.draw import draw
from components.errors import ConfigError, SourceError
from components.locations import FileEntry, find, in_bucket, licence_of, path_of, read_bytes, sha256_at, stamp_of, state_of
from components.python_environment import Distribution, PackageFile, distributions
from components.python_environment import locate as locate_in_environment

HF_STATE = "state.json"
"""File that lists the data files of a Hugging Face dataset saved by `Dataset.save_to_disk`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFile:
    """One file to read."""

    source: str
    """Name of the first source that reads documents from it."""
    path: str
    """Path inside its source with forward slashes, independent of where the source is stored; for `python-environment:`,
    `DISTRIBUTION/PATH`."""
    uri: str
    """Where the file is; `locate` converts it to a location."""
    location: str
    """Absolute path on this machine, or URI in a bucket."""
    size: int
    """Size in bytes."""
    kind: str
    """jsonl, parquet, arrow, warc (also WET), text, module (a distribution's `.py` file), description (a distribution's metadata)
    or own (read by the source's own reader)."""
    source_indices: tuple[int, ...]
    """Indices in the config of the sources that read documents from it."""
    group: str = ""
    """Group of its documents, which must be in the same split: the distribution. Empty if documents are ungrouped."""
    licence: str
    """SPDX expression of its documents' licence."""
    row_share: float = 1.0
    """Share of its rows to read, drawn by hash."""
    stamp: str
    """Changes when the file changes; see `components.locations.FileEntry`."""
    recorded: str = ""
    """sha256 in hex that its distribution records for it; empty if there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedFile:
    """A file of a source that is not read."""

    source: str
    path: str
    """Path inside its source."""
    size: int
    """Size in bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """All files to read, the files that are not read, and which distributions share files."""

    files: tuple[RawFile, ...]
    """Files to read, in the order of sources and paths."""
    linked: dict[str, tuple[str, ...]]
    """For each distribution, the other distributions that list some of its files; they must be in the same split."""
    skipped: tuple[SkippedFile, ...]
    """Files of the sources whose kind is not read."""

    def skipped_by_suffix(self) -> dict[str, int]:
        """The number of files that are not read, by suffix, sorted."""
        return dict(sorted(Counter(_suffix(file.path) for file in self.skipped).items()))


def list_files(reading: Reading) -> Listing:
    """List the raw files of all sources, and draw the samples.

    Raises:
        SourceError: a source does not exist, is empty, has no file of a known kind, or a distribution is not installed.
        ConfigError: a URI has an unknown scheme, or `python-environment:` is used without distributions.
        StoreError: an object store cannot be reached, or denies access.
    """
    # List and sample files and folders.
    listed = [(source, *_files_of(source, n)) for n, source in enumerate(reading.sources) if source.uri != PYTHON_ENVIRONMENT]
    files = [file for source, readable, _ in listed for file in _sampled(readable, source, reading.seed)]
    skipped = tuple(file for _, _, others in listed for file in others)

    # List and sample the files of distributions, each read once for all sources that use it.
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
    """sha256 in hex over the names and contents (for objects in a bucket, their ETags) of all files that would be read now.

    Names are relative to the source, so the fingerprint does not depend on where a source is stored.

    Raises what `list_files` raises.
    """
    files = _files(inputs, list_files(inputs.reading))
    return _digest(f"{name}\0{state_of(location) if location else ''}\n" for name, location, _ in files)


def stamp(inputs: Inputs, listing: Listing) -> str:
    """sha256 in hex over the names, sizes and stamps of the files that `fingerprint` covers; no file is read.

    Raises what `list_files` raises.
    """
    return _digest(f"{name}\0{stamped}\n" for name, _, stamped in _files(inputs, listing))


Input = tuple[str, str, str]
"""A name, the location of the file (empty for a built-in word list), and its size and stamp."""


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
    """The location (a path on this machine, or a URI in a bucket) of a raw file, from its `uri` in `locations.parquet`.

    Raises:
        SourceError: the file belongs to a distribution that is not installed.
    """
    if uri.startswith(PYTHON_ENVIRONMENT):
        return str(locate_in_environment(uri.removeprefix(PYTHON_ENVIRONMENT)))
    return uri if in_bucket(uri) else str(path_of(uri))


def _suffix(path: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
    return "".join(suffixes[-2:] if suffixes and suffixes[-1] in COMPRESSED else suffixes[-1:]) or "none"


def _files_of(source: Source, position: int) -> tuple[list[RawFile], list[SkippedFile]]:
    """The files of a source that are read, and those that are skipped."""
    entries = find(source.uri, source.label)
    readable = _own_files(entries, source) if source.reader else _data_files(entries)
    if not readable and source.reader:
        allowed = ", ".join(source.suffixes) or "all files except hidden ones"
        raise SourceError(f"source {source.label}: no readable file; allowed: {allowed}")
    if not readable:
        kinds = ", ".join(KINDS)
        compressed = "JSON lines (also .json), text and WARC may be compressed as .gz or .zst"
        raise SourceError(f"source {source.label}: no readable file; allowed: {kinds}; {compressed}")
    if not sum(file.size for file in readable):
        raise SourceError(f"source {source.label} is empty (0 bytes)")
    read = {file.location for file in readable}
    others = [file for file in entries if file.location not in read]
    skipped = [SkippedFile(source=source.name, path=file.relative, size=file.size) for file in others]
    licence = source.licence if source.licence != UNKNOWN_LICENCE else licence_of(source.uri) or UNKNOWN_LICENCE
    return [_raw(source, file, position, licence) for file in readable], skipped


def _raw(source: Source, file: FileEntry, position: int, licence: str) -> RawFile:
    return RawFile(
        source=source.name,
        path=file.relative,
        uri=file.location,
        location=file.location,
        size=file.size,
        kind=OWN if source.reader else kind_of(PurePath(file.location)),
        source_indices=(position,),
        licence=licence,
        stamp=file.stamp,
    )


def _own_files(entries: list[FileEntry], source: Source) -> list[FileEntry]:
    """The files that a source's own reader reads."""

    def is_chosen(file: FileEntry) -> bool:
        names = PurePath(file.relative or PurePath(file.location).name).parts
        if source.suffixes:
            return names[-1].lower().endswith(tuple(suffix.lower() for suffix in source.suffixes))
        return not any(name.startswith(".") for name in names)

    return [file for file in entries if is_chosen(file)]


def _data_files(entries: list[FileEntry]) -> list[FileEntry]:
    """The files of known kinds, without cache files of saved Hugging Face datasets, which their `state.json` does not list."""
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
        what = f"{state}: not the state of a saved Hugging Face dataset ({type(error).__name__})"
        raise SourceError(f"{what}; save the dataset again") from error


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
    """Sample up to about `sample_bytes`: a share of the rows of each file with many documents, and whole files of other kinds.

    Files are drawn by a hash of their contents, so the choice does not depend on their names or folders.
    """
    if source.sample_bytes is None or sum(file.size for file in files) <= source.sample_bytes:
        return files
    share = source.sample_bytes / sum(file.size for file in files)
    taken = [replace(file, row_share=share) for file in files if file.kind in ROWS]
    remaining = source.sample_bytes - sum(file.size * file.row_share for file in taken)
    # Package descriptions come first: they are few, and the only prose for readers who do not know the package.
    whole = [file for file in files if file.kind not in ROWS]
    for file in sorted(whole, key=lambda file: (file.kind != "description", draw(seed, _content(file)), file.group, file.path)):
        if remaining <= 0:
            break
        taken.append(file)
        remaining -= file.size
    return sorted(taken, key=lambda file: file.path)


def _content(file: RawFile) -> str:
    """sha256 of a file in hex; for a distribution's file, the recorded one, so that tens of thousands need not be read."""
    return file.recorded or _sha256(file.location, file.size, file.stamp)


@functools.lru_cache(maxsize=1 << 16)
def _sha256(location: str, size: int, stamp: str) -> str:
    """sha256 of a file in hex, cached until its size or stamp changes."""
    return sha256_at(location)


def _merged(files: Iterable[RawFile]) -> list[RawFile]:
    """One entry per file, with all sources that use it, so that it is read and parsed once."""
    merged: dict[str, RawFile] = {}
    for file in files:
        known = merged.get(file.path)
        merged[file.path] = replace(known, source_indices=known.source_indices + file.source_indices) if known else file
    return [merged[path] for path in sorted(merged)]
