"""The files of an existing tokenizer, in a directory or in a bucket."""

from pathlib import Path

import pytest

from components.errors import MissingArtifact
from components.locations import fingerprint
from components.ports import SilentMetrics
from components.raw_files import LOCATIONS, RAW, read_raw
from components.tokenizer.config import TokenizerConfig
from components.tokenizer.origin import files_of
from components.tokenizer.special_tokens import TOKENIZER_FILES
from components.tokenizer.training import reuse_tokenizer
from tests.servers import client, object_store


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    for name in ("tokenizer.json", "config.json", "model.safetensors", "generation_config.json", "code.py"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_only_files_that_describe_a_tokenizer_are_read(theirs: Path) -> None:
    assert [file.relative for file in files_of(str(theirs))] == ["config.json", "tokenizer.json"]


def test_the_fingerprint_changes_with_them_alone(theirs: Path) -> None:
    before = fingerprint(files_of(str(theirs)))
    (theirs / "model.safetensors").write_text("other weights")
    assert fingerprint(files_of(str(theirs))) == before
    (theirs / "tokenizer_config.json").write_text("{}")
    assert fingerprint(files_of(str(theirs))) != before


def test_a_directory_without_tokenizer_json_is_refused(theirs: Path) -> None:
    (theirs / "tokenizer.json").unlink()
    with pytest.raises(MissingArtifact, match=r"no tokenizer\.json here; tokenizer\.start names the directory of a tokenizer"):
        files_of(str(theirs))


def test_a_tokenizer_in_a_bucket_is_taken_as_from_a_directory(
    corpus: Path, tokenizer_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1", "ALLOW_HTTP": "true"}
    output, config = tmp_path / "output", TokenizerConfig(start="s3://models/mine")
    output.mkdir()
    with object_store(tmp_path / "log") as url:
        for name, value in {**settings, "ENDPOINT_URL": url}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        store = client(url)
        store.create_bucket(Bucket="models")
        for path in (tokenizer_directory / name for name in TOKENIZER_FILES):
            store.upload_file(str(path), "models", f"mine/{path.name}")
        reuse_tokenizer(config, corpus=corpus, output=output, metrics=SilentMetrics())
    assert all((output / name).read_bytes() == (tokenizer_directory / name).read_bytes() for name in TOKENIZER_FILES)
    records = read_raw((output / RAW).read_bytes(), (output / LOCATIONS).read_bytes())
    assert {record.uri for record in records} == {f"s3://models/mine/{name}" for name in TOKENIZER_FILES}
