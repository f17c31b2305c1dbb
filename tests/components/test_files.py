"""Small files: JSON with errors of ours, whole writes, flushing, and links."""

import os
from pathlib import Path

import pytest

from components import files
from components.errors import DamagedArtifact, MissingArtifact, SourceError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "missing; make it again"),
        (b"{", r"not a plan \(Expecting .*\); make it again"),
        (b"\xff", r"not a plan \(.*\); make it again"),
        (b"[1]", "not a plan; make it again"),
    ],
)
def test_json_that_is_not_as_it_should_be_is_named_with_the_remedy(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MissingArtifact if content is None else DamagedArtifact, match=rf"plan\.json: {message}$"):
        files.read_json(path, dict, "make it again", what="a plan")


def test_the_caller_chooses_the_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        files.read_json(tmp_path / "law.json", dict, "fit one", missing=SourceError)
    with pytest.raises(SourceError):
        files.read_json(tmp_path, dict, "fit one", damaged=SourceError)


def test_json_reads_back_as_it_was_written_with_keys_in_their_order(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None], "a": "ä"}
    path = files.write_json(tmp_path / "value.json", value)
    assert list(files.read_json(path, dict, "")) == ["b", "a"]
    assert files.read_json(path, dict, "") == value
    assert path.read_bytes().startswith(b'{"b"')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "missing; make it again"),
        (b'{"id": 1}\n{"id', r"not lines of pairs \(.*\); make it again"),
        (b'{"id": 1}\n[1]\n', "not lines of pairs; make it again"),
    ],
)
def test_lines_that_are_no_json_objects_are_named_with_the_remedy(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MissingArtifact if content is None else DamagedArtifact, match=rf"pairs\.jsonl: {message}$"):
        files.read_json_lines(path, "make it again", what="lines of pairs")


def test_a_line_ends_at_a_newline_and_at_no_other_separator(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a\u2028b"}\n\n{"text": "c\x85"}', encoding="utf-8")
    assert [row["text"] for row in files.read_json_lines(tmp_path / "a.jsonl", "")] == ["a\u2028b", "c\x85"]


def test_a_reader_sees_the_file_before_or_the_file_after_and_nothing_beside_it_stays(tmp_path: Path) -> None:
    path = files.write_text(tmp_path / "page.html", "before")
    with files.written_beside(path) as beside:
        beside.write_text("aft")
        assert path.read_text() == "before"
        beside.write_text("after")
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_file_before(tmp_path: Path) -> None:
    path = files.write_text(tmp_path / "page.html", "before")

    def fail() -> None:
        with files.written_beside(path) as beside:
            beside.write_text("aft")
            raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_durable_write_flushes_the_bytes_before_the_move_and_the_name_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "latest", []
    monkeypatch.setattr(files, "flush", lambda flushing: flushed.append((flushing, path.exists())))
    files.write_text(path, "5", durable=True)
    (beside, existed), name = flushed
    assert beside.parent == tmp_path
    assert not existed
    assert name == (tmp_path, True)


def test_files_and_directories_can_be_flushed(tmp_path: Path) -> None:
    files.flush(files.write_text(tmp_path / "a", "a"))
    files.flush(tmp_path)
    with pytest.raises(FileNotFoundError):
        files.flush(tmp_path / "b")


def test_a_link_shares_the_file_and_a_copy_is_made_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = files.write_text(tmp_path / "source", "bytes")
    files.link_or_copy(source, tmp_path / "link")
    assert (tmp_path / "link").samefile(source)

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    files.link_or_copy(source, tmp_path / "copy")
    assert not (tmp_path / "copy").samefile(source)
    assert (tmp_path / "copy").read_text() == "bytes"


def test_a_link_replaces_nothing(tmp_path: Path) -> None:
    source, target = (files.write_text(tmp_path / name, name) for name in ("source", "target"))
    with pytest.raises(FileExistsError):
        files.link_or_copy(source, target)
    assert target.read_text() == "target"
