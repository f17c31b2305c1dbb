"""Tables are written, joined and trimmed without losing or reordering rows."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.curation import tables
from components.curation.tables import files

NUMBERS = pa.schema({"number": pa.int64()})


def test_a_writer_that_writes_nothing_leaves_an_empty_table(tmp_path: Path) -> None:
    with tables.writer(tmp_path / "new" / "t.parquet", NUMBERS):
        pass
    assert pq.read_table(tmp_path / "new" / "t.parquet").equals(NUMBERS.empty_table())


@pytest.mark.parametrize(("names", "codec"), [(("document", "text"), "LZ4"), (("id", "text"), "ZSTD")])
def test_texts_between_steps_are_packed_fast_and_the_corpus_small(names: tuple[str, str], codec: str, tmp_path: Path) -> None:
    tables.write(tmp_path / "t.parquet", pa.table({name: ["a"] for name in names}))
    assert pq.read_metadata(tmp_path / "t.parquet").row_group(0).column(1).compression == codec


def test_joined_tables_follow_each_other_and_small_ones_share_a_row_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "GROUP_ROWS", 4)
    paths = [tmp_path / f"{number}.parquet" for number in range(5)]
    for number, path in enumerate(paths):
        tables.write(path, pa.table({"number": [2 * number, 2 * number + 1]}))
    tables.join(tmp_path / "joined.parquet", NUMBERS, paths)
    assert pq.read_table(tmp_path / "joined.parquet")["number"].to_pylist() == list(range(10))
    metadata = pq.read_metadata(tmp_path / "joined.parquet")
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [4, 4, 2]


def test_a_file_that_is_written_again_has_another_version(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("one")
    before = tables.version_of(path)
    assert tables.version_of(path) == before
    path.write_text("three")
    assert tables.version_of(path) != before


def test_trimmed_documents_have_their_new_text_and_others_theirs() -> None:
    texts = pa.table({"document": [3, 1, 7, 9], "text": ["c", "a", "g", "i"], "bytes": [1, 1, 1, 1]})
    trimmed = pa.table({"document": [1, 9], "text": ["", "shorter"], "bytes": [0, 7]})
    expected = pa.table({"document": [3, 1, 7, 9], "text": ["c", "", "g", "shorter"], "bytes": [1, 0, 1, 7]})
    assert tables.with_trimmed(texts, trimmed).equals(expected)
    assert tables.with_trimmed(texts, trimmed.slice(0, 0)) is texts
