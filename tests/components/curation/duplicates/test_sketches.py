"""Shards are hashed once; a rank is quality, then text hash; ids do not decide between copies."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.curation import DuplicatesConfig
from components.curation.duplicates.sketches import TextShard, ranks_of, sketch, text_shards, ties_of
from components.curation.text.draw import hash_of
from tests.components.curation.conftest import passed, prose

IDS = [f"{number:012x}" + "0" * 52 for number in (5, 3, 9)]


def text_shard(directory: Path, texts: list[str]) -> TextShard:
    columns = {"document": range(7, 7 + len(texts)), "id": IDS[: len(texts)], "group": [""] * len(texts), "text": texts}
    pq.write_table(pa.table(columns), directory / "texts.parquet")
    return TextShard(number=4, texts=directory / "texts.parquet", directory=directory / "part")


def test_a_shard_has_a_head_and_a_key_per_band_for_every_document(tmp_path: Path) -> None:
    texts = [prose(1), prose(2), prose(1)]
    made = sketch(text_shard(tmp_path, texts), config=DuplicatesConfig())
    assert (made.documents, made.first, made.bytes) == (3, 7, sum(len(text.encode()) for text in texts))
    heads = passed(tmp_path / "part/heads.arrow")
    assert [(row["document"], row["rank"], row["part"]) for row in heads] == [
        (7 + number, hash_of(text.encode()) >> 16, 4) for number, text in enumerate(texts)
    ]
    halves = [(row["text"], row["check"]) for row in heads]
    assert halves[0] == halves[2] != halves[1]
    assert np.load(tmp_path / "part/keys.npy").shape == (3, 18)


def test_tables_of_texts_are_numbered_and_know_what_was_decided_about_them(tmp_path: Path) -> None:
    first, second = text_shards([tmp_path / "b.parquet", tmp_path / "a.parquet"], tmp_path / "texts")
    assert (first.number, second.number, second.texts.name) == (0, 1, "a.parquet")
    assert first.verdicts.parent != second.verdicts.parent
    assert first.trimmed is None
    first.directory.mkdir(parents=True)
    first.trimmed_path.touch()
    assert (first.trimmed, second.trimmed) == (first.trimmed_path, None)


def test_a_shard_that_is_finished_is_not_hashed_again(tmp_path: Path) -> None:
    chosen = text_shard(tmp_path, [prose(1)])
    made = sketch(chosen, config=DuplicatesConfig())
    chosen.texts.unlink()
    assert sketch(chosen, config=DuplicatesConfig()) == made


def test_better_documents_come_first_and_texts_decide_between_equals() -> None:
    quality = pa.array([0.2, 0.9, 0.9, None, 1.5], pa.float32())
    text = np.array([1, 8, 2, 1, 9], dtype=np.uint64) << np.uint64(48)
    assert np.argsort(ranks_of(pa.record_batch({"quality": quality}), text)).tolist() == [4, 2, 1, 0, 3]


def test_which_copy_is_kept_follows_from_where_it_would_lie_in_the_corpus_and_not_from_its_id() -> None:
    domains = ["web", "books"] * 200
    text = np.repeat(np.arange(200, dtype=np.uint64) << np.uint64(50), 2)
    first = set()
    for shuffle in range(3):
        ids = [hash_of(f"{shuffle} {number}".encode()) for number in range(len(domains))]
        columns = {"domain": domains, "group": [""] * len(domains), "id": [f"{identity:016x}" for identity in ids]}
        ties = ties_of(pa.record_batch(columns), text).reshape(-1, 2)
        first.add(tuple(ties.argmin(axis=1).tolist()))
    (winners,) = first
    assert 60 < sum(winners) < 140
