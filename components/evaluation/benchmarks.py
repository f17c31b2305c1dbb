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

from components.artifacts import Contamination, OmissionCase, OmissionTally
from components.errors import ArtifactError, MissingArtifact
from components.evaluation.config import BenchmarkTask, EvaluationConfig
from components.evaluation.items import Row, Tasks

UNIT = "items"
"""Unit of the omissions of benchmarks and of a recipe's own tasks."""

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


class UnsuitableItemError(Exception):
    """An item does not fit its `BenchmarkTask`. Only raised and caught within this module."""

    def __init__(self, reason: str, detail: str) -> None:
        """`reason` is the name under which such items are counted; `detail` says what is wrong with this one."""
        super().__init__(detail)
        self.reason = reason


def build(config: EvaluationConfig, corpus: Path, tally: OmissionTally) -> Tasks:
    """The items of the benchmarks in the config, at most `config.max_items_per_task` of each, selected by a hash.

    Items that lack a field, or whose answer is not one of their options, are left out and recorded in `tally`. A benchmark
    without usable items is no task.

    Raises:
        MissingArtifact: the corpus has no table of items.
        ArtifactError: curation did not search for a benchmark.
    """
    items, hits = _tables(corpus)
    contaminated = _contaminated(hits)
    built = {task: list(_rows(config, task, items, contaminated, tally)) for task in config.benchmarks}
    return Tasks(
        choices={task.name: rows for task, rows in built.items() if rows and task.choices},
        completions={task.name: rows for task, rows in built.items() if rows and not task.choices},
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


def _rows(
    config: EvaluationConfig, task: BenchmarkTask, items: pa.Table, contaminated: set[tuple[Any, ...]], tally: OmissionTally
) -> Iterator[Row]:
    own = [row for row in items.to_pylist() if row["benchmark"] == task.name]
    if not own:
        known = ", ".join(sorted(set(items["benchmark"].to_pylist()))) or "none"
        raise ArtifactError(f"benchmark {task.name}: curation did not search for it; curation.filtering.benchmarks has {known}")
    tally.add(task.name, UNIT, len(own))
    usable = {_key(row): item for row in own if (item := usable_row(task, row, tally))}
    keys = sorted(usable, key=lambda key: hashlib.sha256(f"{config.seed}/{key}".encode()).digest())
    searched = {_key(row) for row in own if row["grams"] > 0}
    for key in keys[: config.max_items_per_task]:
        yield {**usable[key], "clean": key in searched and key not in contaminated}


def usable_row(task: BenchmarkTask, row: Mapping[str, Any], tally: OmissionTally) -> Row | None:
    """The item of a row, or None after recording why it does not fit its `BenchmarkTask`."""
    uri = f"{row['file']}#{row['item'] + 1}"
    try:
        return {**_item(task, json.loads(row["record"])), "uri": uri}
    except UnsuitableItemError as error:
        tally.omit(task.name, UNIT, error.reason, OmissionCase(uri=uri, detail=str(error)), "evaluation.benchmarks")
        return None


def _item(task: BenchmarkTask, record: Any) -> Row:
    if not isinstance(record, dict):
        raise UnsuitableItemError("wrong-type", f"the item is {type(record).__name__}, not an object")
    context, answer = _prompt(task, record), _field(record, task.answer)
    if not task.choices:
        return {"context": context, "gold": _word(answer), "chance": 0.0}
    options = [_field(record, name) for name in task.choices]
    if len(options) == 1 and isinstance(options[0], list):
        options = options[0]
    texts = ["" if option is None else str(option).strip() for option in options]
    if len(texts) < 2 or not all(texts):
        raise UnsuitableItemError("wrong-choices", f"its options are {_shown(options)}; allowed: two or more non-empty texts")
    return {"context": context, "choices": [f" {text}" for text in texts], "gold": _option_index(task, answer, texts)}


def _prompt(task: BenchmarkTask, record: Mapping[str, Any]) -> str:
    try:
        return task.prompt.format_map(record)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        has = ", ".join(map(str, record))
        raise UnsuitableItemError("missing-field", f"its prompt needs {_shown(str(error))}; the item has {has}") from error


def _field(record: Any, name: str) -> Any:
    value = record
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            raise UnsuitableItemError("missing-field", f"it has no field {name!r}; it has {', '.join(map(str, record))}")
        value = value[key]
    return value


def _option_index(task: BenchmarkTask, answer: Any, options: list[str]) -> int:
    """The index of the option that the answer refers to. Raises `UnsuitableItemError`."""
    text = str(answer).strip()
    try:
        if task.answer_form == "text":
            return options.index(text)
        index = int(text) if task.answer_form == "number" else ord(text.upper()) - ord("A")
    except (ValueError, TypeError) as error:
        raise UnsuitableItemError(
            "wrong-answer", f"the answer {_shown(answer)} is not a {task.answer_form} of an option"
        ) from error
    if not 0 <= index < len(options):
        raise UnsuitableItemError("wrong-answer", f"the answer {_shown(answer)} is not one of the {len(options)} options")
    return index


def _word(answer: Any) -> str:
    word = str(answer).strip()
    if not word.replace("_", "a").isalnum():
        raise UnsuitableItemError("wrong-answer", f"the answer {_shown(answer)} is not a single word")
    return word


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
