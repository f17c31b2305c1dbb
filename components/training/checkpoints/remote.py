"""Training checkpoints in an object store: what another machine goes on from.

URL/step-00000100-1f0c9a2e/…   the files of a checkpoint, in a place of the attempt that put them; its manifest is put last
URL/latest                     the name of the newest whole one, put after its manifest
URL/attempt                    the attempt whose checkpoints count: the last one to have begun

Read and written through fsspec with obstore beneath, which takes credentials from the environment.
"""

import contextlib
import json
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from components.errors import StoreError, SupersededAttempt
from components.ports import RemoteScratch
from components.training.checkpoints.files import LATEST, MANIFEST, opened_manifest, step_of

ATTEMPT = "attempt"

RETRIES: Any = {"max_retries": 3}
"""obstore's own of one request, some seconds: longer waits are `components.training.checkpoints.uploads`'s."""

_PART = 16 * 2**20
"""Bytes read at once."""


@dataclass(frozen=True)
class RemoteCheckpoints:
    """The checkpoints of one training below `place`, as one attempt sees them. All raise `StoreError` where the store fails."""

    place: RemoteScratch
    keep: int
    """Newest that stay."""
    permanent: Collection[int] = ()
    """Steps whose checkpoints stay besides."""
    attempt: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def claim(self) -> None:
        """From now on the checkpoints of this attempt count."""
        with self._telling():
            self._system.pipe_file(self._at(ATTEMPT), self.attempt.encode())

    def newest(self) -> list[str]:
        """The names of those that are whole, the latest first."""
        with self._telling():
            whole, latest = self._whole(), self._text(LATEST)
        return sorted(whole, key=lambda name: (name == latest, step_of(name)), reverse=True)

    def fetch(self, name: str, target: Path) -> bool:
        """Fetch a checkpoint's files into the new directory `target`; whether there is a manifest and they are what it says."""
        target.mkdir(parents=True)
        with self._telling():
            try:
                content = self._system.cat_file(self._at(name, MANIFEST))
                (target / MANIFEST).write_bytes(content)
                files: dict[str, str] = opened_manifest(content)["files"]
                return all(self._fetched(self._at(name, file), target / file) == checksum for file, checksum in files.items())
            except (FileNotFoundError, ValueError):
                return False

    def put(self, directory: Path, goes_on: Callable[[], bool]) -> None:
        """Put a published checkpoint, as long as `goes_on` between its files; then remove what need not stay.

        Raises:
            SupersededAttempt: a later attempt has begun.
        """
        with self._telling():
            self._require_mine()
            name = f"{directory.name}-{self.attempt}"
            for file in (*json.loads((directory / MANIFEST).read_text())["files"], MANIFEST):
                if not goes_on():
                    return
                self._system.put_file(str(directory / file), self._at(name, file))
            self._require_mine()
            self._system.pipe_file(self._at(LATEST), name.encode())
            self._sweep(name)

    def _sweep(self, latest: str) -> None:
        """What is cut short goes too, and what an attempt before has left beyond the latest."""
        whole = {name for name in self._whole() if step_of(name) <= step_of(latest)}
        temporary = sorted((name for name in whole - {latest} if step_of(name) not in self.permanent), key=step_of, reverse=True)
        stay = whole - set(temporary[self.keep - 1 :])
        for name, files in self._listed().items():
            if name not in stay:
                for file in sorted(files, key=lambda file: file != MANIFEST):
                    self._system.rm_file(self._at(name, file))

    def _require_mine(self) -> None:
        newest = self._text(ATTEMPT)
        if newest != self.attempt:
            raise SupersededAttempt(f"{self.place.url}: attempt {newest} puts checkpoints there now; attempt {self.attempt} ends")

    def _whole(self) -> set[str]:
        return {name for name, files in self._listed().items() if MANIFEST in files}

    def _listed(self) -> dict[str, list[str]]:
        """The files of each checkpoint."""
        try:
            paths = self._system.find(self.place.url)
        except FileNotFoundError:
            return {}
        parts = [path.rsplit("/", 2)[-2:] for path in paths]
        names = {name for name, _ in parts if name.startswith("step-")}
        return {name: [file for other, file in parts if other == name] for name in names}

    def _text(self, name: str) -> str:
        try:
            return bytes(self._system.cat_file(self._at(name))).decode()
        except FileNotFoundError:
            return ""

    def _fetched(self, url: str, target: Path) -> str:
        """Fetch a file; its checksum."""
        seen = xxhash.xxh3_128()
        with self._system.open(url, "rb") as stream, target.open("wb") as copy:
            while part := stream.read(_PART):
                seen.update(part)
                copy.write(part)
        return seen.hexdigest()

    def _at(self, *names: str) -> str:
        return "/".join((self.place.url, *names))

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            reason = " ".join(str(error).split("Debug source:")[0].split())[:300]
            raise StoreError(f"{self.place.url}: {reason}; look at the store's address, bucket and credentials") from error

    @property
    def _system(self) -> Any:
        from obstore.fsspec import FsspecStore

        endpoint = self.place.endpoint
        config: Any = {"endpoint": endpoint} if endpoint else {}
        client: Any = {"allow_http": True} if endpoint.startswith("http://") else {}
        protocol: Any = self.place.url.partition("://")[0]
        return FsspecStore(protocol, config=config, client_options=client, retry_config=RETRIES)
