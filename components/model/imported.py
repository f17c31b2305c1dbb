"""Imports a published LLaMA checkpoint, from which pretraining continues."""

import tempfile
from pathlib import Path

from components.artifacts import Figures, encoded
from components.flops import parameters
from components.locations import fetched_folder, raw_records
from components.model.huggingface import load, save
from components.model.origin import READ, files_of
from components.raw_files import write_raw
from components.tokenizer.imported import import_tokenizer

SOURCE = "start"
"""Name of the checkpoint as a source in the list of raw files."""


def import_checkpoint(directory: str, output: Path) -> Figures:
    """Write fp32 weights, config and tokenizer files into `output`, with the list of the files read (`components.raw_files`).

    `directory` is a path, or a URI in a bucket.

    Returns:
        The number of parameters and the shape.

    Raises:
        MissingArtifact, DamagedArtifact, ArtifactError, ConfigError: see `huggingface.load` and `import_tokenizer`.
    """
    files = files_of(directory)
    with fetched_folder(directory, READ) as source, tempfile.TemporaryDirectory() as tokenizer:
        import_tokenizer(source, Path(tokenizer))
        model = load(source)
        save(model, Path(tokenizer), output)
    write_raw(raw_records(files, SOURCE), output)
    return {"parameters": parameters(model.shape), "shape": encoded(model.shape)}
