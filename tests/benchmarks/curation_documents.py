"""The documents of the benchmark of curation: text files of the installed packages, as Parquet tables that every peer reads.

They are written as the pipeline writes the texts that deduplication reads.
"""

import hashlib
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from components.curation import tables
from components.curation.text.normalise import normalise

SUFFIXES = (".py", ".pyi", ".h", ".md", ".txt", ".rst", ".yaml", ".json")
LONGEST = 20_000
"""Bytes; longer files are data."""

SCHEMA = pa.schema({"document": pa.int64(), "id": pa.string(), "group": pa.string(), "text": pa.string()})


def write_documents(folder: Path, *, documents: int, shards: int) -> list[Path]:
    """Write so many documents, or all there are, in the order of their paths' hashes, on every machine the same; the shards."""
    root = Path(sysconfig.get_path("purelib"))
    paths = sorted(_files(root), key=lambda path: hashlib.sha256(path.relative_to(root).as_posix().encode()).digest())
    texts = [text for path in paths if (text := _text(path))][:documents]
    folder.mkdir(parents=True, exist_ok=True)
    each = -(-len(texts) // shards)
    return [_write(folder / f"part-{n:05d}.parquet", n << 32, texts[n * each : (n + 1) * each]) for n in range(shards)]


def _files(root: Path) -> Iterator[Path]:
    yield from (path for path in root.rglob("*") if path.suffix in SUFFIXES and path.is_file())


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if not 200 <= len(raw) <= LONGEST:
        return ""
    try:
        return normalise(raw.decode())
    except UnicodeDecodeError:
        return ""


def _write(path: Path, first: int, texts: list[str]) -> Path:
    ids = [hashlib.sha256(f"{first + row}".encode()).hexdigest() for row in range(len(texts))]
    table = pa.table([range(first, first + len(texts)), ids, [""] * len(texts), texts], schema=SCHEMA)
    tables.write(path, table)
    return path
