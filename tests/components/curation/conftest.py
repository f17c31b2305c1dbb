"""Small sources, and functions that curate them in this process."""

import json
import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from components import interim
from components.curation import CurationConfig, Source
from components.curation.config import PYTHON_ENVIRONMENT
from components.curation.curate import curate
from components.curation.extraction.extract import ExtractionShard, shards_of
from components.curation.reading.readers import RawDocument, read_documents
from components.curation.reading.sources import Listing, list_files
from components.ports import InProcessShardEngine, RecordedMetrics, ShardEngine

WORDS = (
    *("the", "of", "and", "to", "a", "in", "that", "is", "was", "he", "for", "it", "with", "as", "his", "on", "be", "at"),
    *("by", "had", "not", "are", "but", "from", "or", "have", "an", "they", "which", "one"),
)


SECTIONS = {
    inner.name: section.name
    for section in fields(CurationConfig)
    if is_dataclass(section.default_factory)
    for inner in fields(section.default_factory)
}
"""The section of the config that each field is in."""


def prose(seed: int, words: int = 120) -> str:
    """Text that passes all filters and differs for each seed."""
    numbers = [(seed * 7919 + i * i * 31 + i * 17) % 1009 for i in range(words)]
    return " ".join(f"{WORDS[n % len(WORDS)]} {chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 7 % 26)}" for n in numbers)


def write_jsonl(path: Path, texts: Iterable[Any]) -> Path:
    """Write one JSON line per text."""
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return path


def source(path: Path | str, domain: str = "prose", **fields: Any) -> Source:
    """A source of weight 1, named after its file or folder."""
    name = "" if str(path) == PYTHON_ENVIRONMENT else re.sub(r"\W+", "-", Path(path).name.partition(".")[0]).strip("-")
    return Source(**{"uri": str(path), "domain": domain, "weight": 1.0, "name": name, **fields})


def config(*sources: Source, **fields: Any) -> CurationConfig:
    """A config for small corpora; fields of its sections are given by their own names, such as `max_epochs`."""
    small = CurationConfig(sources=sources, shard_bytes=20_000)
    return changed(small, **{"min_characters": 20, "validation_share": 0.2, **fields})


def changed(chosen: CurationConfig, **fields: Any) -> CurationConfig:
    """A copy of a config with changed fields; fields of its sections are given by their own names."""
    own: dict[str, Any] = {}
    by_section: dict[str, dict[str, Any]] = {}
    for name, value in fields.items():
        section = SECTIONS.get(name)
        if section:
            by_section.setdefault(section, {})[name] = value
        else:
            own[name] = value
    sections = {name: replace(getattr(chosen, name), **inner) for name, inner in by_section.items()}
    return replace(chosen, **sections, **own)


def listed(chosen: CurationConfig) -> Listing:
    """The raw files of the config's sources."""
    return list_files(chosen.extraction.reading)


def raw_documents(chosen: CurationConfig) -> list[RawDocument]:
    """The documents of the config's raw files."""
    reading = chosen.extraction.reading
    return [document for file in listed(chosen).files for document in read_documents(file, reading)]


def planned_shards(chosen: CurationConfig, scratch: Path) -> list[ExtractionShard]:
    """The config's shards of raw files, with directories below `scratch`."""
    return shards_of(listed(chosen).files, chosen.extraction, scratch)


def run(
    chosen: CurationConfig, directory: Path, engine: ShardEngine | None = None, metrics: RecordedMetrics | None = None
) -> dict[str, Any]:
    """Curate into `directory/corpus`."""
    (directory / "corpus").mkdir(parents=True)
    return curate(
        chosen,
        output=directory / "corpus",
        scratch=directory / "scratch",
        engine=engine or InProcessShardEngine(),
        metrics=metrics or RecordedMetrics(),
    )


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a table."""
    entries: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return entries


def passed(path: Path) -> list[dict[str, Any]]:
    """The rows of an interim table."""
    entries: list[dict[str, Any]] = interim.read(path).to_pylist()
    return entries


def documents(directory: Path, split: str = "*") -> list[dict[str, Any]]:
    """The kept documents below `directory/corpus`."""
    return [row for path in sorted((directory / "corpus").glob(f"documents/{split}/*/*.parquet")) for row in rows(path)]
