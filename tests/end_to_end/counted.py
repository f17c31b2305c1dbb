"""longrun, with every file that it hashes written down, and every artifact opened only as far as a step asked for it.

python -m tests.end_to_end.counted NOTES VIEWS [WORD ...]
"""

import hashlib
import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.artifacts import Artifact
from components.ports import LocalArtifactStore
from components.ports.store import selected
from infra.storage import ObjectArtifactStore
from workflows.cli.main import app


def note_hashings(notes: Path) -> None:
    """Add a line to `notes` for each file that is hashed: its path, its bytes, and what tells it from any other."""
    own = hashlib.file_digest

    def noted(stream: Any, *arguments: Any, **options: Any) -> Any:
        status = os.fstat(stream.fileno())
        line = {"path": str(stream.name), "bytes": status.st_size, "file": [status.st_ino, status.st_mtime_ns]}
        with notes.open("a", encoding="utf-8") as output:
            output.write(json.dumps(line) + "\n")
        return own(stream, *arguments, **options)

    hashlib.file_digest = noted


def show_no_more(store: type[LocalArtifactStore] | type[ObjectArtifactStore], views: Path) -> None:
    """Let `local` hand out a directory with nothing but the files that were asked for: links to them, below `views`."""
    own, numbers = store.local, itertools.count()

    def local(self: Any, artifact: Artifact, only: Sequence[str] = ()) -> Path:
        directory = own(self, artifact, only)
        view = views / f"{os.getpid()}-{next(numbers)}"
        for record in selected(self.manifest(artifact.uri), only, artifact.uri):
            (view / record.path).parent.mkdir(parents=True, exist_ok=True)
            (view / record.path).symlink_to(directory.absolute() / record.path)
        return view

    store.local = local  # type: ignore[method-assign]


if __name__ == "__main__":
    note_hashings(Path(sys.argv[1]))
    show_no_more(ObjectArtifactStore, Path(sys.argv[2]))
    app(sys.argv[3:])
