"""Files that a recipe or sweep names: which of them pods can read, and upload of the others to the bucket of the profile."""

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
"""Directory of uploaded files below the artifact_root of the profile: `uploads/SHA256/NAME`, one per content."""

STEP = "upload"

MIB = 2**20

Config = TypeVar("Config")


def unseen(config: object, profile: Profile) -> list[FileName]:
    """The files that pods cannot read: those neither in a bucket nor on the source claim."""
    return [file for file in file_names(config) if not (in_bucket(file.uri) or _on_claim(file.uri, profile))]


def _on_claim(uri: str, profile: Profile) -> bool:
    path = os.path.normpath(uri.removeprefix("file://"))
    return bool(profile.source_claim) and path.startswith(f"{SOURCES}/")


def require_seen(config: object, profile: Profile) -> None:
    """Raise one `SourceError` that lists all files that pods cannot read."""
    files = unseen(config, profile)
    if not files:
        return
    named = ", ".join(f"{file.uri} ({file.field})" for file in files)
    claim = (
        f"on the claim {profile.source_claim} ({SOURCES}/…)"
        if profile.source_claim
        else f"on a volume claim that source_claim of the profile names ({SOURCES}/…)"
    )
    raise SourceError(
        f"{named}: on this machine, where pods cannot read {'it' if len(files) == 1 else 'them'}; "
        f"put {'it' if len(files) == 1 else 'them'} in a bucket (s3://…, gs://…) or {claim}, or add --upload"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Upload:
    """One file or directory to upload."""

    name: FileName
    entries: Sequence[FileEntry]
    is_folder: bool

    @property
    def bytes(self) -> int:
        return sum(entry.size for entry in self.entries)


def uploaded(config: Config, profile: Profile, max_bytes: int) -> Config:
    """Upload local files to the bucket of the profile, unless they are there already; the config with their new locations.

    File names and paths inside sources are kept, so that documents have the same ids as in a local run. The process must be able
    to reach the store (`infra.outside.reached`).

    Raises:
        SourceError: a file does not exist, changes during the upload, or all files together exceed `max_bytes`.
        StoreError: the store cannot be reached, or refuses the upload.
    """
    wanted = [_upload(name) for name in unseen(config, profile)]
    if not wanted:
        return config
    files = {entry.location: entry.size for upload in wanted for entry in upload.entries}
    total = sum(files.values())
    if total > max_bytes:
        sizes = ", ".join(f"{upload.name.uri} {_mib(upload.bytes)}" for upload in wanted)
        raise SourceError(
            f"--upload: {_mib(total)} to upload ({sizes}); allowed: {_mib(max_bytes)}; copy the largest to a bucket yourself, "
            "or increase --max-upload"
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
        raise SourceError(f"{name.uri} ({name.field}): no file to upload; allowed: {', '.join(name.patterns) or 'any file'}")
    return _Upload(name=name, entries=entries, is_folder=path.is_dir())


@dataclass
class _Sending:
    """The upload of files to the bucket, with its progress."""

    bucket: Bucket
    total: int
    _digests: dict[str, str] = field(default_factory=dict)
    _done: dict[str, int] = field(default_factory=dict)

    def send(self, upload: _Upload) -> str:
        """Upload the files that are not in the bucket yet; their path below the root of the bucket."""
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
    """sha256 in hex over the paths and contents of the files in a directory."""
    lines = "".join(f"{relative}\0{digest}\n" for relative, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def _end(name: FileName) -> str:
    """The name of the file or directory in the bucket."""
    plain = [word for word in name.end.split("/") if word not in {"", ".", "..", "~"}]
    return "/".join(plain) or path_of(name.uri).resolve().name or "files"


def _require_same_names(config: object, moved: object) -> None:
    """Raise `SourceError` if one of several files would have another name in the bucket, which would change its document ids."""
    for before, after in zip(file_names(config), file_names(moved), strict=True):
        several = before.field.rpartition(".")[2].isdecimal()
        if several and before.end != after.end:
            raise SourceError(
                f"{before.uri} ({before.field}) would be named {after.end} in the bucket, and is {before.end} here; rename it so "
                "that its name differs from the others"
            )


def _mib(size: int) -> str:
    return f"{size / MIB:,.1f} MiB"
