"""Public benchmarks: makes tasks from their items, and counts how many of them curation found in the documents.

Both come from the corpus: `benchmarks.parquet` has the items that curation searched for, and `contamination.parquet` has how
much of which item each document contained. An item is clean if it was searched for and no document contained a part of it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import Contamination
from components.errors import ArtifactError, MissingArtifact, SourceError
from components.evaluation.config import BenchmarkTask, EvaluationConfig
from components.evaluation.items import Row, Tasks

_ITEM = ("benchmark", "file", "item")
"""Columns that identify an item in both tables."""


def contamination(corpus: Path) -> tuple[Contamination, ...]:
    """How many items of each benchmark curation found in documents, sorted by name. Raises `MissingArtifact`."""
    items, hits = _tables(corpus)
    contaminated = _contaminated(hits)
    counts = []
    for name in sorted(set(items["benchmark"].to_pylist())):
        rows = [row for row in items.select([*_ITEM, "grams"]).to_pylist() if row["benchmark"] == name]
        documents = {row["id"] for row in hits.select(["benchmark", "id"]).to_pylist() if row["benchmark"] == name}
        counts.append(
            Contamination(
                benchmark=name,
                items=len(rows),
                contaminated=sum(_key(row) in contaminated for row in rows),
                not_searched=sum(row["grams"] == 0 for row in rows),
                documents=len(documents),
            )
        )
    return tuple(counts)


def build(config: EvaluationConfig, corpus: Path) -> Tasks:
    """The items of the benchmarks in the config, at most `config.max_items_per_task` of each, selected by a hash.

    Raises:
        MissingArtifact: the corpus has no table of items.
        ArtifactError: curation did not search for a benchmark.
        SourceError: an item lacks a field, or its answer is not one of its options.
    """
    items, hits = _tables(corpus)
    contaminated = _contaminated(hits)
    built = {task.name: list(_rows(config, task, items, contaminated)) for task in config.benchmarks}
    return Tasks(
        choices={task.name: built[task.name] for task in config.benchmarks if task.choices},
        completions={task.name: built[task.name] for task in config.benchmarks if not task.choices},
    )


def _tables(corpus: Path) -> tuple[pa.Table, pa.Table]:
    paths = corpus / "benchmarks.parquet", corpus / "contamination.parquet"
    for path in paths:
        if not path.is_file():
            raise MissingArtifact(f"{path}: missing; run the step curation again")
    items, hits = (pq.read_table(path, partitioning=None) for path in paths)
    return items, hits


def _contaminated(hits: pa.Table) -> set[tuple[Any, ...]]:
    """The keys of the items of which at least one document contained a part."""
    return {_key(row) for row in hits.select(list(_ITEM)).to_pylist()}


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _ITEM)


def _rows(config: EvaluationConfig, task: BenchmarkTask, items: pa.Table, contaminated: set[tuple[Any, ...]]) -> Iterator[Row]:
    own = [row for row in items.to_pylist() if row["benchmark"] == task.name]
    if not own:
        known = ", ".join(sorted(set(items["benchmark"].to_pylist()))) or "none"
        raise ArtifactError(f"benchmark {task.name}: curation did not search for it; curation.filtering.benchmarks has {known}")
    for row in sorted(own, key=lambda row: hashlib.sha256(f"{config.seed}/{_key(row)}".encode()).digest())[
        : config.max_items_per_task
    ]:
        try:
            item = _item(task, json.loads(row["record"]))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            where = f"benchmark {task.name}: item {row['item']} of {row['file']}"
            raise SourceError(f"{where} does not fit its BenchmarkTask ({error!r}); its fields: {row['record'][:200]}") from error
        yield {**item, "clean": row["grams"] > 0 and _key(row) not in contaminated}


def _item(task: BenchmarkTask, record: Mapping[str, Any]) -> Row:
    context, answer = task.prompt.format_map(record), _field(record, task.answer)
    if not task.choices:
        return {"context": context, "gold": _word(answer), "chance": 0.0}
    options = [_field(record, name) for name in task.choices]
    if len(options) == 1 and isinstance(options[0], list):
        options = options[0]
    texts = [str(option).strip() for option in options]
    return {"context": context, "choices": [f" {text}" for text in texts], "gold": _option_index(task, answer, texts)}


def _field(record: Any, name: str) -> Any:
    for key in name.split("."):
        record = record[key]
    return record


def _option_index(task: BenchmarkTask, answer: Any, options: list[str]) -> int:
    """The index of the option that the answer refers to."""
    text = str(answer).strip()
    if task.answer_form == "text":
        return options.index(text)
    index = int(text) if task.answer_form == "number" else ord(text.upper()) - ord("A")
    if not 0 <= index < len(options):
        raise ValueError(f"the answer {answer!r} is not one of the {len(options)} options")
    return index


def _word(answer: Any) -> str:
    word = str(answer).strip()
    if not word.replace("_", "a").isalnum():
        raise ValueError(f"the answer {answer!r} is not a single word")
    return word
