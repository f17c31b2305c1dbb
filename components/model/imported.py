"""Imports a published LLaMA checkpoint, from which pretraining continues."""

import tempfile
from pathlib import Path

from components.artifacts import Figures, encoded
from components.flops import parameters
from components.hub import DATASETS, MODELS, SCHEME
from components.locations import fetched_folder, licence_of, pinned, raw_records
from components.model.huggingface import load, save
from components.model.origin import READ, files_of
from components.raw_files import write_raw
from components.tokenizer.imported import import_tokenizer

SOURCE = "start"
"""Name of the checkpoint as a source in the list of raw files."""


def import_checkpoint(directory: str, output: Path) -> Figures:
    """Write fp32 weights, config and tokenizer files into `output`, with the list of the files read (`components.raw_files`).

    `directory` is a path, or a URI in a bucket or of the hub.

    Returns:
        The number of parameters and the shape; of a model on the hub also its URI with the commit, and its licence.

    Raises:
        MissingArtifact, DamagedArtifact, ArtifactError, ConfigError: see `huggingface.load` and `import_tokenizer`.
    """
    origin = pinned(directory, (MODELS, DATASETS))
    files = files_of(origin)
    with fetched_folder(origin, READ) as source, tempfile.TemporaryDirectory() as tokenizer:
        import_tokenizer(source, Path(tokenizer))
        model = load(source)
        save(model, Path(tokenizer), output)
    write_raw(raw_records(files, SOURCE), output)
    on_hub = {"start": origin, "licence": licence_of(origin) or "unknown"} if origin.startswith(SCHEME) else {}
    return {"parameters": parameters(model.shape), "shape": encoded(model.shape), **on_hub}
