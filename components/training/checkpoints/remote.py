"""Copies of training checkpoints in an object store, from which another machine can resume.

URL/step-00000100-1f0c9a2e/…   the files of a checkpoint; the name ends with the id of the attempt; the manifest is uploaded last
URL/latest                     name of the newest complete checkpoint, uploaded after its manifest
URL/attempt                    id of the attempt that may upload: the one that started last

Uses obstore's fsspec interface, which reads credentials from environment variables.
"""

import contextlib
import json
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from components.errors import StoreError, SupersededAttempt, single_line
from components.ports import RemoteScratch
from components.training.checkpoints.files import LATEST, MANIFEST, parse_manifest, step_of

ATTEMPT = "attempt"

RETRIES: Any = {"max_retries": 3}
"""obstore's retries of a single request, over a few seconds; `components.training.checkpoints.uploads` retries for longer."""

_CHUNK_BYTES = 16 * 2**20
"""Bytes read at a time."""


@dataclass(frozen=True)
class RemoteCheckpoints:
    """The checkpoints of one training run in an object store, used by one attempt. All methods raise `StoreError` if it fails."""

    scratch: RemoteScratch
    """Folder of the checkpoints."""
    keep: int
    """Number of newest checkpoints to keep."""
    permanent: Collection[int] = ()
    """Steps whose checkpoints are kept in addition."""
    attempt: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    """Random id of this attempt."""

    def claim(self) -> None:
        """Make this attempt the one that may upload; an earlier attempt is superseded."""
        with self._store_errors():
            self._file_system.pipe_file(self._url(ATTEMPT), self.attempt.encode())

    def newest(self) -> list[str]:
        """The names of the complete checkpoints, newest first; the one that `latest` names comes before all others."""
        with self._store_errors():
            whole, latest = self._whole(), self._text(LATEST)
        return sorted(whole, key=lambda name: (name == latest, step_of(name)), reverse=True)

    def fetch(self, name: str, target: Path) -> bool:
        """Download a checkpoint into the new directory `target`. Returns whether its manifest and all checksums are valid."""
        target.mkdir(parents=True)
        with self._store_errors():
            try:
                content = self._file_system.cat_file(self._url(name, MANIFEST))
                (target / MANIFEST).write_bytes(content)
                files: dict[str, str] = parse_manifest(content)["files"]
                return all(self._fetched(self._url(name, file), target / file) == checksum for file, checksum in files.items())
            except (FileNotFoundError, ValueError):
                return False

    def put(self, directory: Path, is_wanted: Callable[[], bool]) -> None:
        """Upload a published checkpoint, then delete old ones. Stops if `is_wanted()`, called before each file, returns False.

        Raises:
            SupersededAttempt: a later attempt has started.
        """
        with self._store_errors():
            self._require_mine()
            name = f"{directory.name}-{self.attempt}"
            for file in (*json.loads((directory / MANIFEST).read_text())["files"], MANIFEST):
                if not is_wanted():
                    return
                self._file_system.put_file(str(directory / file), self._url(name, file))
            self._require_mine()
            self._file_system.pipe_file(self._url(LATEST), name.encode())
            self._sweep(name)

    def _sweep(self, latest: str) -> None:
        """Delete old checkpoints beyond `keep`, incomplete ones, and those of later steps, which an earlier attempt left."""
        whole = {name for name in self._whole() if step_of(name) <= step_of(latest)}
        temporary = sorted((name for name in whole - {latest} if step_of(name) not in self.permanent), key=step_of, reverse=True)
        kept = whole - set(temporary[self.keep - 1 :])
        for name, files in self._listed().items():
            if name not in kept:
                for file in sorted(files, key=lambda file: file != MANIFEST):
                    self._file_system.rm_file(self._url(name, file))

    def _require_mine(self) -> None:
        newest = self._text(ATTEMPT)
        if newest != self.attempt:
            raise SupersededAttempt(f"{self.scratch.url}: attempt {newest} has taken over; attempt {self.attempt} stops")

    def _whole(self) -> set[str]:
        return {name for name, files in self._listed().items() if MANIFEST in files}

    def _listed(self) -> dict[str, list[str]]:
        """File names by checkpoint."""
        try:
            paths = self._file_system.find(self.scratch.url)
        except FileNotFoundError:
            return {}
        pairs = [path.rsplit("/", 2)[-2:] for path in paths]
        names = {name for name, _ in pairs if name.startswith("step-")}
        return {name: [file for folder, file in pairs if folder == name] for name in names}

    def _text(self, name: str) -> str:
        try:
            return bytes(self._file_system.cat_file(self._url(name))).decode()
        except FileNotFoundError:
            return ""

    def _fetched(self, url: str, target: Path) -> str:
        """Download a file and return its checksum."""
        checksum = xxhash.xxh3_128()
        with self._file_system.open(url, "rb") as stream, target.open("wb") as copy:
            while chunk := stream.read(_CHUNK_BYTES):
                checksum.update(chunk)
                copy.write(chunk)
        return checksum.hexdigest()

    def _url(self, *names: str) -> str:
        return "/".join((self.scratch.url, *names))

    @contextlib.contextmanager
    def _store_errors(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            reason = single_line(str(error).split("Debug source:")[0], 300)
            raise StoreError(f"{self.scratch.url}: {reason}; check the store's endpoint, bucket and credentials") from error

    @property
    def _file_system(self) -> Any:
        from obstore.fsspec import FsspecStore

        endpoint = self.scratch.endpoint
        config: Any = {"endpoint": endpoint} if endpoint else {}
        client: Any = {"allow_http": True} if endpoint.startswith("http://") else {}
        protocol: Any = self.scratch.url.partition("://")[0]
        return FsspecStore(protocol, config=config, client_options=client, retry_config=RETRIES)
