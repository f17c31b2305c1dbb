"""Importing a published LLaMA checkpoint, from which continued pretraining starts."""

import tempfile
from pathlib import Path

from components.artifacts import Figures, encoded, sha256_of_file
from components.flops import parameters
from components.model.huggingface import load, save
from components.model.origin import files_of
from components.raw_files import RawRecord, write_raw
from components.tokenizer.imported import import_tokenizer

SOURCE = "start"
"""Name of the checkpoint as a source, wherever it lies."""


def import_checkpoint(directory: Path, output: Path) -> Figures:
    """Write weights in fp32, config, the tokenizer's files and the tables of the files read (`components.raw_files`).

    Returns:
        The number of parameters and the shape.

    Raises:
        MissingArtifact, DamagedArtifact, ArtifactError, ConfigError: as `huggingface.load` and `import_tokenizer` do.
    """
    source, files = directory.expanduser(), files_of(directory)
    with tempfile.TemporaryDirectory() as tokenizer:
        import_tokenizer(source, Path(tokenizer))
        model = load(source)
        save(model, Path(tokenizer), output)
    write_raw([_record(path) for path in files], output)
    return {"parameters": parameters(model.shape), "shape": encoded(model.shape)}


def _record(path: Path) -> RawRecord:
    digest, size = sha256_of_file(path), path.stat().st_size
    return RawRecord(source=SOURCE, path=path.name, sha256=digest, bytes=size, uri=str(path))
