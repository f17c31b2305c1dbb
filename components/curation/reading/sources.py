"""The raw files of the sources: listed, sampled, located again, and fingerprinted, without reading a document."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from components.curation.reading.benchmarks import files_of
from components.curation.reading.config import PYTHON_ENVIRONMENT, SHIPPED, Inputs, Reading, Source
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
"""What a file contains, by its suffix; JSON lines, text and WARC may also be compressed."""

JSON_LINES = ".json"
"""How some corpora (C4, Dolma) name compressed JSON lines; an uncompressed `.json` is usually one value, and not read."""

TABLES = ("parquet", "arrow")
"""Kinds with compression of their own."""

OWN = "own"
"""What the reader of the recipe's own reads."""

ROWS = ("jsonl", "warc", OWN, *TABLES)
"""Kinds with many documents in a file: a sample takes a share of each file."""

HF_STATE = "state.json"
"""Lists the Arrow files that are the data of a saved Hugging Face dataset (`Dataset.save_to_disk`)."""

COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFile:
    """One file to read."""

    uri: str
    """Its name: a path below the URI of its source, or `python-environment:DISTRIBUTION/PATH`."""
    location: str
    """Absolute path on this machine, or `s3://` URI."""
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
    """Every file to read, and what the split needs to know about distributions."""

    files: tuple[RawFile, ...]
    """In the order of sources and URIs."""
    linked: dict[str, tuple[str, ...]]
    """For each distribution, the others that list some of its files."""
    skipped: tuple[SkippedFile, ...]
    """The other files of the sources, of kinds that are not read."""

    def skipped_by_suffix(self) -> dict[str, int]:
        """How many files are not read, by suffix, sorted."""
        return dict(sorted(Counter(_suffix(file.uri) for file in self.skipped).items()))


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
        yield file.uri, file.location, f"{file.size} {file.stamp}"
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
    """The location of the raw file named `uri` in `raw.parquet`: a path on this machine, or an `s3://` URI.

    Raises:
        SourceError: its distribution is not installed.
    """
    if uri.startswith(PYTHON_ENVIRONMENT):
        return str(locate_in_environment(uri.removeprefix(PYTHON_ENVIRONMENT)))
    return uri if uri.startswith(S3) else str(path_of(uri))


def kind_of(path: PurePath) -> str:
    """What a file contains, by `KINDS`, or an empty string."""
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
    """The files of a source that are read, and the others that are skipped."""
    entries = find(source.uri, source.name)
    readable = _own_files(entries, source) if source.reader else _data_files(entries)
    if not readable and source.reader:
        raise SourceError(
            f"source {source.name}: no file to read; allowed: {', '.join(source.suffixes) or 'all but hidden files'}"
        )
    if not readable:
        kinds = ", ".join(KINDS)
        compressed = "JSON lines (.json too), text and WARC also as .gz or .zst"
        raise SourceError(f"source {source.name}: no file to read; allowed: {kinds}; {compressed}")
    if not sum(file.size for file in readable):
        raise SourceError(f"source {source.name}: {source.uri} is empty (0 bytes)")
    read = {file.location for file in readable}
    others = [file for file in entries if file.location not in read]
    skipped = [SkippedFile(source=source.uri, uri=_uri(source, file), size=file.size) for file in others]
    return [_raw(source, file, position) for file in readable], skipped


def _uri(source: Source, file: FileEntry) -> str:
    return source.uri.rstrip("/") + (f"/{file.relative}" if file.relative else "")


def _raw(source: Source, file: FileEntry, position: int) -> RawFile:
    return RawFile(
        uri=_uri(source, file),
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
        raise ConfigError(f"source {source.name}: Source.distributions is empty; allowed: names of installed distributions")
    return source.distributions


def _package_files(installed: Iterable[Distribution], source: Source, position: int) -> list[RawFile]:
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
    for distribution in installed:
        if source.domain == "prose" and distribution.metadata:
            files.append(raw(distribution, distribution.metadata, "description"))
        if source.domain == "code" or (source.domain == "maths") == distribution.mathematical:
            files += [raw(distribution, file, "module") for file in distribution.modules]
    return files


def _sampled(files: list[RawFile], source: Source, seed: int) -> list[RawFile]:
    """Whole files in the order of their draw until the sample is full; of files with many documents, a share of the rows."""
    if source.sample_bytes is None:
        return files
    share = min(1.0, source.sample_bytes / max(1, sum(file.size for file in files)))
    taken = [replace(file, row_share=share) for file in files if file.kind in ROWS]
    remaining = source.sample_bytes - sum(file.size * file.row_share for file in taken)
    # Descriptions come first: they are few, and the only prose written for readers who do not know the package.
    whole = [file for file in files if file.kind not in ROWS]
    for file in sorted(whole, key=lambda file: (file.kind != "description", draw(seed, file.uri), file.uri)):
        if remaining <= 0:
            break
        taken.append(file)
        remaining -= file.size
    return sorted(taken, key=lambda file: file.uri)


def _merged(files: Iterable[RawFile]) -> list[RawFile]:
    """One entry per file of an environment, with all sources that use it, so that it is read and parsed once."""
    merged: dict[str, RawFile] = {}
    for file in files:
        known = merged.get(file.uri)
        merged[file.uri] = replace(known, source_indices=known.source_indices + file.source_indices) if known else file
    return [merged[uri] for uri in sorted(merged)]
