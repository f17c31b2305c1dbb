"""A cache of shards that were read and hashed, so that adding a source reads and hashes only the new source.

The key of a shard covers everything that its tables depend on: the state of its raw files, their paths inside their sources, the
sources, the rest of `Extraction`, and the lookup tables that the driver wrote for the workers. It does not cover where the
sources are stored. The key of a shard's hashes covers the shard's key and all of `DuplicatesConfig`. Neither key covers the code,
so the caller must use a separate cache directory for each version of the code.

An entry is moved into the cache in one step, so it is never incomplete. Its files are linked, not copied. If a source is added
before another, the document and shard numbers of the latter change; its tables are then rewritten with the new numbers.
"""

import dataclasses
import hashlib
import json
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import interim
from components.artifacts import sha256_of_file
from components.curation import tables
from components.curation.duplicates.config import DuplicatesConfig
from components.curation.duplicates.sketches import Sketch, TextShard, sketch
from components.curation.extraction.extract import SHARD_BITS, ExtractedShard, ExtractionShard, extract
from components.decides import deciding
from components.files import JSON, link_or_copy, read_json, write_json, written_beside
from components.locations import state_of

KEY, ENTRY = "key.json", "entry.json"
"""`key.json` beside the tables of a shard has its key in the cache; `entry.json` in a cache entry describes its tables."""


def read_shard(shard: ExtractionShard, *, index: Path | None) -> tuple[ExtractedShard, bool]:
    """Extract a shard, or reuse it from the cache `index` or from a killed run; also return whether it was reused.

    Raises what `extract` raises.
    """
    # Reuse the shard of a killed run, or copy a cached one.
    directory = Path(shard.directory)
    directory.mkdir(parents=True, exist_ok=True)
    finished = (directory / "finished.json").exists()
    if index is None or finished:
        return extract(shard), finished
    key = shard_key(shard)
    entry = index / "shards" / key
    cached = _restore(entry, directory)
    if cached:
        shift = shard.number - cached.pop("number")
        for path in [directory / "rows.parquet", *directory.glob("texts-*.parquet")] if shift else ():
            _renumber(path, shift << SHARD_BITS)
        write_json(directory / "finished.json", cached | {"directory": shard.directory})

    # Extract it unless it was reused, and add it to the cache.
    extracted = extract(shard)
    # Not cached: a file that changed while it was read, and one that could not be read but may be readable next time.
    if not cached and (shard_key(shard) != key or pq.read_metadata(extracted.set_aside).num_rows):
        return extracted, False
    if not cached:
        _store(entry, directory, dataclasses.asdict(extracted) | {"number": shard.number})
    write_json(directory / KEY, key)
    return extracted, cached is not None


def shard_key(shard: ExtractionShard) -> str:
    """sha256 in hex over everything, except the code, that the tables of a shard depend on."""
    config = deciding(shard.config)
    sources = config["reading"].pop("sources")
    beside = sorted(path for path in Path(shard.directory).parent.iterdir() if path.is_file())
    facts: dict[str, JSON] = {
        "files": [_file_facts(file, sources) for file in shard.files],
        "config": config,
        "beside": {path.name: sha256_of_file(path) for path in beside},
    }
    return _digest(facts)


def _file_facts(file: Any, sources: Sequence[dict[str, JSON]]) -> dict[str, JSON]:
    facts = dataclasses.asdict(file) | {"state": state_of(file.location)}
    own = [{name: value for name, value in sources[number].items() if name != "weight"} for number in facts.pop("source_indices")]
    elsewhere = ("location", "recorded", "stamp", "uri")
    return {name: value for name, value in facts.items() if name not in elsewhere} | {"sources": own}


def sketch_shard(shard: TextShard, *, config: DuplicatesConfig, index: Path | None) -> tuple[Sketch, bool]:
    """Hash a shard, or reuse its hashes from the cache `index` or from a killed run; also return whether they were reused."""
    key, marker = shard.texts.parent / KEY, shard.directory / "sketch.json"
    shard.directory.mkdir(parents=True, exist_ok=True)
    # With a learned quality score, a shard's texts depend on the whole corpus, which the key of its raw files does not cover.
    has_key = key.exists() and shard.texts.name.startswith("texts-")
    finished = marker.exists()
    if index is None or not has_key or finished:
        return sketch(shard, config=config), finished
    entry = index / "sketches" / sketch_key(json.loads(key.read_text()), shard.texts.name, config)
    cached = _restore(entry, shard.directory)
    if cached:
        first = pq.ParquetFile(shard.texts).read_row_group(0, columns=["document"])["document"][0].as_py()
        if (first, shard.number) != (cached["first"], cached.pop("number")):
            _renumber_heads(shard, first - cached["first"])
        write_json(marker, cached | {"first": first})
    sketched = sketch(shard, config=config)
    if not cached:
        _store(entry, shard.directory, dataclasses.asdict(sketched) | {"number": shard.number})
    return sketched, cached is not None


def sketch_key(shard: str, texts: str, config: DuplicatesConfig) -> str:
    """sha256 in hex over everything, except the code, that the hashes of a text shard depend on.

    `shard` is the key of the shard, `texts` the file name of the text shard.
    """
    return _digest({"shard": shard, "part": texts, "config": dataclasses.asdict(config)})


def _digest(facts: dict[str, JSON]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _restore(entry: Path, directory: Path) -> dict[str, Any] | None:
    """Link the tables of a cache entry into a directory and return the entry's description, or None if there is no entry.

    Tables that a killed run left in the directory are deleted first, since they may be links too.
    """
    for path in _tables_in(directory):
        path.unlink()
    if not entry.exists():
        return None
    for path in _tables_in(entry):
        link_or_copy(path, directory / path.name)
    return read_json(entry / ENTRY, dict, f"delete {entry}")


def _store(entry: Path, directory: Path, facts: dict[str, JSON]) -> None:
    """Add the tables of a directory to the cache as `entry`, with their description `facts`."""
    beside = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}")
    beside.mkdir(parents=True)
    for path in _tables_in(directory):
        link_or_copy(path, beside / path.name)
    write_json(beside / ENTRY, facts)
    try:
        beside.rename(entry)
    except OSError:
        shutil.rmtree(beside)  # another worker added the same entry first


def _tables_in(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix in (".parquet", interim.SUFFIX, ".npy"))


def _renumber(path: Path, shift: int) -> None:
    """Rewrite a table with shifted document numbers; the cached file that it is a link to does not change."""
    with (
        written_beside(path) as beside,
        pq.ParquetFile(path) as opened,
        tables.writer(beside, opened.schema_arrow) as output,
    ):
        for batch in opened.iter_batches():
            output.write_table(_shifted(pa.Table.from_batches([batch]), shift))


def _renumber_heads(shard: TextShard, shift: int) -> None:
    heads = _shifted(interim.read(shard.heads), shift)
    column = pa.array(np.full(heads.num_rows, shard.number))
    with written_beside(shard.heads) as beside:
        interim.write(beside, heads.set_column(heads.column_names.index("part"), "part", column))


def _shifted(table: pa.Table, shift: int) -> pa.Table:
    (document,) = tables.columns(table, "document")
    column = pa.array(np.where(document < 0, document, document + shift))
    return table.set_column(table.column_names.index("document"), "document", column)
