"""The files of an existing tokenizer that is taken for a new model."""

from components.errors import MissingArtifact
from components.locations import FileEntry, files_in
from components.tokenizer.config import TOKENIZER_FILES

SOURCE = "tokenizer"
"""Name of the existing tokenizer as a source, whatever its directory."""


def files_of(directory: str) -> list[FileEntry]:
    """The files of the tokenizer in `directory`, a path or a URI in a bucket, that are read; sorted.

    Raises:
        MissingArtifact: there is no `tokenizer.json`.
        StoreError: the object store cannot be reached, or refuses.
    """
    files = files_in(directory, TOKENIZER_FILES)
    if "tokenizer.json" not in [file.relative for file in files]:
        raise MissingArtifact(f"{directory}: no tokenizer.json here; tokenizer.start names the directory of a tokenizer")
    return files
