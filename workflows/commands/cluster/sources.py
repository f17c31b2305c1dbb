"""The files that a recipe or sweep names, as pods see them: in a bucket, on the source claim, or sent along to the bucket."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from components.artifacts import FileRecord, sha256_of_file
from components.errors import SourceError
from components.file_names import FileName, file_names, with_file_names
from components.locations import FileEntry, files_in, find, in_bucket, path_of
from infra.bucket import Bucket, object_store_endpoint
from infra.cluster.pods import SOURCES
from infra.cluster.profiles import Profile
from workflows.steps import journal

UPLOADS = "uploads"
"""Folder of what was sent along, below the profile's artifact_root: `uploads/SHA256/NAME`, each content once."""

STEP = "upload"

MIB = 2**20

Config = TypeVar("Config")


def unseen(config: object, profile: Profile) -> list[FileName]:
    """The files that pods do not see: neither in a bucket nor on the source claim."""
    return [file for file in file_names(config) if not (in_bucket(file.uri) or _on_claim(file.uri, profile))]


def _on_claim(uri: str, profile: Profile) -> bool:
    path = os.path.normpath(uri.removeprefix("file://"))
    return bool(profile.source_claim) and path.startswith(f"{SOURCES}/")


def require_seen(config: object, profile: Profile) -> None:
    """Raise `SourceError` for files that pods do not see, all at once."""
    files = unseen(config, profile)
    if not files:
        return
    named = ", ".join(f"{file.uri} ({file.field})" for file in files)
    claim = (
        f"into the claim {profile.source_claim} ({SOURCES}/…)"
        if profile.source_claim
        else f"into a claim that is the profile's source_claim ({SOURCES}/…)"
    )
    raise SourceError(
        f"{named}: on this machine, where pods do not see {'it' if len(files) == 1 else 'them'}; "
        f"put {'it' if len(files) == 1 else 'them'} into a bucket (s3://…, gs://…), {claim}, or send along with --upload"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Upload:
    """One file or folder to send."""

    name: FileName
    entries: Sequence[FileEntry]
    is_folder: bool

    @property
    def bytes(self) -> int:
        return sum(entry.size for entry in self.entries)


def uploaded(config: Config, profile: Profile, max_bytes: int) -> Config:
    """The same config with the files of this machine in the profile's bucket, where they are sent unless they are there.

    Names and paths inside sources stay, so that documents have the ids that they have here. The process must reach the store
    (`infra.outside.reached`).

    Raises:
        SourceError: a file does not exist, is changed meanwhile, or all together have more than `max_bytes`.
        StoreError: the store cannot be reached, or refuses.
    """
    wanted = [_upload(name) for name in unseen(config, profile)]
    if not wanted:
        return config
    files = {entry.location: entry.size for upload in wanted for entry in upload.entries}
    total = sum(files.values())
    if total > max_bytes:
        sizes = ", ".join(f"{upload.name.uri} {_mib(upload.bytes)}" for upload in wanted)
        raise SourceError(
            f"--upload: {_mib(total)} to send ({sizes}); allowed: {_mib(max_bytes)}; put the largest into a bucket yourself, "
            "or raise --max-upload"
        )
    bucket = Bucket(profile.artifact_root, object_store_endpoint(profile.artifact_root))
    sending = _Sending(bucket, total)
    there = {upload.name.field: f"{profile.artifact_root.rstrip('/')}/{sending.send(upload)}" for upload in wanted}
    moved = with_file_names(config, lambda name: there.get(name.field, name.uri))
    _require_same_names(config, moved)
    return moved


def _upload(name: FileName) -> _Upload:
    path = path_of(name.uri)
    if not path.exists():
        raise SourceError(f"{name.uri} ({name.field}): {path} does not exist")
    entries = files_in(name.uri, name.patterns) if name.patterns else find(name.uri, name.field)
    if not entries:
        raise SourceError(f"{name.uri} ({name.field}): no file to send; allowed: {', '.join(name.patterns) or 'files'}")
    return _Upload(name=name, entries=entries, is_folder=path.is_dir())


@dataclass
class _Sending:
    """Files on their way into the bucket."""

    bucket: Bucket
    total: int
    _digests: dict[str, str] = field(default_factory=dict)
    _done: dict[str, int] = field(default_factory=dict)

    def send(self, upload: _Upload) -> str:
        """Send what is not there yet; where it is then, below the root of the bucket."""
        digests = {entry.relative: self._digest(entry) for entry in upload.entries}
        key = f"{UPLOADS}/{_tree(digests) if upload.is_folder else digests[upload.entries[0].relative]}"
        base = f"{key}/{_end(upload.name)}"
        sizes = self.bucket.sizes(key)
        for entry in upload.entries:
            path = f"{base}/{entry.relative}" if upload.is_folder else base
            if sizes.get(path.removeprefix(f"{key}/")) != entry.size:
                self._put(path, entry, digests[entry.relative])
            self._done[entry.location] = entry.size
            journal.progress(STEP, sum(self._done.values()) / MIB, self.total / MIB, "MiB")
        return base

    def _digest(self, entry: FileEntry) -> str:
        if entry.location not in self._digests:
            self._digests[entry.location] = sha256_of_file(Path(entry.location))
        return self._digests[entry.location]

    def _put(self, path: str, entry: FileEntry, sha256: str) -> None:
        """Put a file, read it again from there, and compare."""
        self.bucket.put(path, Path(entry.location))
        record = FileRecord(path=entry.relative, sha256=sha256, size=entry.size)
        if wrong := self.bucket.fetch(path, record, None):
            self.bucket.delete([path])
            raise SourceError(f"{entry.location}: what arrived is another file ({wrong}); was it changed meanwhile? Submit again")


def _tree(digests: dict[str, str]) -> str:
    """sha256 in hex over the paths and contents of a folder's files."""
    lines = "".join(f"{relative}\0{digest}\n" for relative, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _end(name: FileName) -> str:
    """What the file or folder is called there."""
    plain = [word for word in name.end.split("/") if word not in {"", ".", "..", "~"}]
    return "/".join(plain) or path_of(name.uri).resolve().name or "files"


def _require_same_names(config: object, moved: object) -> None:
    """Raise `SourceError` where one of several files would be called otherwise there, so that its documents had other ids."""
    for before, after in zip(file_names(config), file_names(moved), strict=True):
        several = before.field.rpartition(".")[2].isdecimal()
        if several and before.end != after.end:
            raise SourceError(
                f"{before.uri} ({before.field}) would be called {after.end} in the bucket, and is {before.end} here; give it a "
                "name that tells it from the others"
            )


def _mib(size: int) -> str:
    return f"{size / MIB:,.1f} MiB"
