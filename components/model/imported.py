"""Importing a published LLaMA checkpoint, from which continued pretraining starts."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import Figures, encoded, sha256_of_file
from components.flops import parameters
from components.model.huggingface import load, save
from components.model.origin import files_of
from components.tokenizer.imported import import_tokenizer


def import_checkpoint(directory: Path, output: Path) -> Figures:
    """Write weights in fp32, config, the tokenizer's files and `raw.parquet` (source, uri, sha256, bytes of each file read).

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
    sizes = {str(path): (sha256_of_file(path), path.stat().st_size) for path in files}
    rows = [{"source": str(directory), "uri": uri, "sha256": digest, "bytes": size} for uri, (digest, size) in sizes.items()]
    pq.write_table(pa.Table.from_pylist(rows), output / "raw.parquet", compression="zstd")
    return {"parameters": parameters(model.shape), "shape": encoded(model.shape)}
