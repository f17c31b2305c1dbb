"""Kept documents are in the files of their portion and split, in the order of the hashes of their texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import interim
from components.artifacts import TRAIN, VALIDATION, Mixture
from components.curation import tables
from components.curation.corpus.layout import TARGETED, Layout, PortionFiles, figures_of, plan_files, write_documents
from components.curation.corpus.ledger import write_ledger
from components.ports import InProcessShardEngine
from tests.components.curation.conftest import passed, rows
from tests.components.curation.corpus.conftest import group_digits, identity, shard_of, table_of

PLAIN = Mixture(shares={"web": 1.0}, epoch_limits={"web": 4.0})
BY_LANGUAGE = Mixture(shares={"web": 1.0}, epoch_limits={"web": 4.0}, language_shares={"web": {"en": 0.5, "other": 0.5}})


def spread(number: int) -> int:
    """A hash at `number` per cent of the range of hashes."""
    return number * 2**64 // 100


@dataclass
class WatchedEngine(InProcessShardEngine):
    """Counts the texts that each pass over the shards writes below a directory."""

    directory: Path
    texts: dict[str, int] = field(default_factory=dict)

    def map_shards(self, work: Any, shards: Sequence[Any], *, description: str, **options: Any) -> list[Any]:
        before = self.written()
        results = super().map_shards(work, shards, description=description, **options)
        self.texts[description] = sum(count for path, count in self.written().items() if path not in before)
        return results

    def written(self) -> dict[Path, int]:
        """The number of texts in each file."""
        counted = {path: passed(path) for path in self.directory.rglob("*.arrow")}
        counted |= {path: rows(path) for path in self.directory.rglob("*.parquet")}
        return {path: sum(isinstance(row.get("text"), str) for row in listed) for path, listed in counted.items()}


def test_documents_are_spread_over_the_files_by_the_hashes_of_their_texts() -> None:
    files = PortionFiles(TRAIN, "web", first=3, files=4)
    assert [files.target(spread(number)) for number in (0, 24, 25, 60, 99)] == [3, 3, 4, 5, 6]
    assert files.paths[-1] == "documents/train/web/part-00003.parquet"


@pytest.mark.parametrize(("mixture", "train"), [(PLAIN, ["web"]), (BY_LANGUAGE, ["web/en", "web/other"])])
def test_each_portion_has_as_many_files_as_it_has_shards(mixture: Mixture, train: list[str]) -> None:
    sizes, splits = {"a": {"web": 2500}, "b": {"web": 900}}, {"a": TRAIN, "b": VALIDATION}
    planned = plan_files(sizes, splits, {"web": {"en": 1000, "zh": 1200, "de": 300}}, mixture, file_bytes=1000)
    assert [(files.split, files.portion) for files in planned] == [*((TRAIN, name) for name in train), (VALIDATION, "web")]
    assert [files.files for files in planned] == ([3, 1] if len(train) == 1 else [1, 2, 1])
    assert [files.first for files in planned] == ([0, 3] if len(train) == 1 else [0, 1, 3])


def test_kept_documents_are_written_once_with_their_final_text_and_group(tmp_path: Path) -> None:
    shards = [
        shard_of(
            tmp_path / "0", {1: {"text_hash": spread(70)}, 2: {"reason": "short"}, 3: {"text_hash": spread(10), "group": "held"}}
        ),
        shard_of(
            tmp_path / "1",
            {2**32 + 1: {"text_hash": spread(20), "language": "zh"}, 2**32 + 2: {"text_hash": spread(90)}},
            trimmed=[{"document": 2**32 + 2, "text": "trimmed", "bytes": 7, "characters": 7, "cut": 3, "reason": ""}],
        ),
    ]
    for shard in shards:
        write_ledger(shard)
    splits = {group_digits(spread(number)): TRAIN for number in (20, 70, 90)} | {"held": VALIDATION}
    files = [PortionFiles(TRAIN, "web/en", 0, 2), PortionFiles(TRAIN, "web/other", 2, 1), PortionFiles(VALIDATION, "web", 3, 1)]
    engine = WatchedEngine(tmp_path)
    write_documents(shards, Layout(splits, files, BY_LANGUAGE), tmp_path / "corpus", tmp_path, engine)
    assert engine.texts == {"select kept documents": 4, "write the corpus": 4}
    written = {
        path.relative_to(tmp_path / "corpus/documents").as_posix(): [(row["id"], row["text"]) for row in rows(path)]
        for path in sorted((tmp_path / "corpus").rglob("*.parquet"))
    }
    assert written == {
        # Both hashes are in the upper half, so that the first file is not written.
        "train/web/en/part-00001.parquet": [(identity(1), "text 1"), (identity(2**32 + 2), "trimmed")],
        "train/web/other/part-00000.parquet": [(identity(2**32 + 1), f"text {2**32 + 1}")],
        "validation/web/part-00000.parquet": [(identity(3), "text 3")],
    }
    (path,) = (tmp_path / "corpus/documents/validation/web").iterdir()
    assert pq.read_schema(path).equals(tables.DOCUMENTS)
    assert pq.read_table(path)["group"].equals(pa.chunked_array([["held"]]))


def test_a_copy_more_would_be_counted(tmp_path: Path) -> None:
    table = table_of([{"id": identity(1), "text": "text 1", "target": 0}], TARGETED)
    engine = WatchedEngine(tmp_path)
    engine.exchange([interim.write(tmp_path / "kept.arrow", table)], key="target", partitions=2, output=tmp_path / "gathered")
    assert engine.texts == {"split by target": 1, "join by target": 1}


def test_figures_have_both_splits_of_every_domain() -> None:
    sizes = {"b": {"web": 5, "code": 2}, "a": {"web": 4}, identity(1): {"web": 1}}
    splits = {"a": VALIDATION, "b": TRAIN, identity(1): TRAIN}
    assert figures_of(sizes, splits) == {"code": {TRAIN: 2, VALIDATION: 0}, "web": {TRAIN: 6, VALIDATION: 4}}
