"""The files of a checkpoint that is to be imported: which are read, and their fingerprint."""

from pathlib import Path

import pytest

from components.errors import MissingArtifact
from components.model.origin import files_of, fingerprint


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    for name in ("tokenizer.json", "config.json", "model.safetensors", "pytorch_model.bin", "code.py"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_config_tokenizer_and_safetensors_are_read_and_neither_pickles_nor_code(theirs: Path) -> None:
    assert [file.relative for file in files_of(str(theirs))] == ["config.json", "model.safetensors", "tokenizer.json"]


def test_paths_are_absolute_wherever_the_checkpoint_is_named_from(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(theirs.parent)
    assert files_of(theirs.name) == files_of(str(theirs))


def test_the_fingerprint_changes_with_any_file_that_is_read_and_with_no_other(theirs: Path) -> None:
    before = fingerprint(str(theirs))
    (theirs / "code.py").write_text("pass")
    (theirs / "pytorch_model.bin").unlink()
    assert fingerprint(str(theirs)) == before
    (theirs / "config.json").write_text("{}")
    changed = fingerprint(str(theirs))
    assert changed != before
    (theirs / "config.json").rename(theirs / "another.json")
    assert fingerprint(str(theirs)) not in (before, changed)


def test_the_fingerprint_is_that_of_the_content_and_not_of_the_directory(theirs: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in files_of(str(theirs)):
        (moved / file.relative).write_bytes(Path(file.location).read_bytes())
    assert fingerprint(str(moved)) == fingerprint(str(theirs))


def test_a_directory_without_a_checkpoint_is_refused_with_the_setting_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"no JSON or safetensors files here; set pretraining\.start"):
        fingerprint(str(tmp_path))
