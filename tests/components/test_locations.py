"""Raw files in a real S3 bucket are found, fetched and hashed as local ones are."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.alignment.jsonl import named_files, write_evidence
from components.curation.reading.sources import fingerprint, locate
from components.errors import ConfigError, MissingArtifact, SourceError, StoreError
from components.locations import fetched, fetched_folder, find, in_bucket, sha256_at
from components.model.origin import READ, files_of
from components.model.origin import fingerprint as checkpoint_fingerprint
from components.raw_files import LOCATIONS
from components.scaling.laws.files import find_law, law_fingerprint, write_law
from components.scaling.laws.published import LAWS
from tests.components.curation.conftest import config, documents, listed, prose, rows, run, source
from tests.servers import client, object_store

LINES = "".join(json.dumps({"text": prose(number)}) + "\n" for number in range(6)).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with object_store(tmp_path_factory.mktemp("s3") / "log") as url:
        yield url


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings = {"ENDPOINT_URL": server, "ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
    for name, value in {**settings, "ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3 = client(server)
    s3.create_bucket(Bucket="crawl")
    s3.put_object(Bucket="crawl", Key="web/a.jsonl.gz", Body=gzip.compress(LINES))
    s3.put_object(Bucket="crawl", Key="web/deep/b.txt", Body=prose(50).encode())
    s3.put_object(Bucket="crawl", Key="website/c.txt", Body=b"of another source")
    return s3


@pytest.mark.long
def test_a_folder_of_a_bucket_gives_its_files_and_an_object_itself(bucket: Any) -> None:
    assert [(file.relative, file.location) for file in find("s3://crawl/web/", "web")] == [
        ("a.jsonl.gz", "s3://crawl/web/a.jsonl.gz"),
        ("deep/b.txt", "s3://crawl/web/deep/b.txt"),
    ]
    (file,) = find("s3://crawl/web/deep/b.txt", "web")
    assert (file.relative, file.location, file.size) == ("b.txt", "s3://crawl/web/deep/b.txt", len(prose(50)))


def test_a_corpus_from_a_bucket_is_the_one_of_its_files(bucket: Any, tmp_path: Path) -> None:
    run(config(source("s3://crawl/web")), tmp_path)
    assert {row["uri"] for row in documents(tmp_path)} == {
        *(f"a.jsonl.gz#{number}" for number in range(1, 7)),
        "deep/b.txt",
    }
    lay = {row["path"]: row["uri"] for row in rows(tmp_path / "corpus/locations.parquet")}
    assert set(lay.values()) == {"s3://crawl/web/a.jsonl.gz", "s3://crawl/web/deep/b.txt"}
    for row in rows(tmp_path / "corpus/raw.parquet"):
        assert row["sha256"] == sha256_at(locate(lay[row["path"]]))
    assert not list((tmp_path / "scratch").rglob("fetched/*"))


def test_a_corpus_from_a_bucket_is_byte_for_byte_that_of_the_same_files_in_a_folder(bucket: Any, tmp_path: Path) -> None:
    (tmp_path / "web/deep").mkdir(parents=True)
    (tmp_path / "web/a.jsonl.gz").write_bytes(gzip.compress(LINES, mtime=0))
    (tmp_path / "web/deep/b.txt").write_text(prose(50), encoding="utf-8")
    bucket.put_object(Bucket="crawl", Key="web/a.jsonl.gz", Body=gzip.compress(LINES, mtime=0))
    contents = []
    for name, uri in (("bucket", "s3://crawl/web"), ("folder", str(tmp_path / "web")), ("uri", f"file://{tmp_path}/web/")):
        run(config(source(uri, name="web")), tmp_path / name)
        corpus = tmp_path / name / "corpus"
        files = [path for path in sorted(corpus.rglob("*")) if path.is_file() and path.name != LOCATIONS]
        contents.append({path.relative_to(corpus).as_posix(): path.read_bytes() for path in files})
    assert contents[0] == contents[1] == contents[2]


def test_an_object_is_fetched_for_a_block_and_hashes_as_its_bytes(bucket: Any, tmp_path: Path) -> None:
    with fetched("s3://crawl/web/a.jsonl.gz", tmp_path) as path:
        assert gzip.decompress(path.read_bytes()) == LINES
        assert path.name == "a.jsonl.gz"
    assert not path.exists()
    assert sha256_at("s3://crawl/web/deep/b.txt") == hashlib.sha256(prose(50).encode()).hexdigest()


def test_the_fingerprint_of_a_bucket_changes_with_an_object(bucket: Any) -> None:
    chosen = config(source("s3://crawl/web"))
    before = fingerprint(chosen.inputs)
    assert fingerprint(chosen.inputs) == before
    bucket.put_object(Bucket="crawl", Key="web/deep/b.txt", Body=prose(51).encode())
    assert fingerprint(chosen.inputs) != before


def test_what_is_not_in_the_bucket_is_named(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="s3://crawl/nothing does not exist"):
        listed(config(source("s3://crawl/nothing")))
    with pytest.raises(StoreError, match=r"s3://elsewhere/web: cannot be read from the object store .*check the bucket"):
        listed(config(source("s3://elsewhere/web")))
    with pytest.raises(StoreError, match="s3://crawl/gone"), fetched("s3://crawl/gone", tmp_path):
        pass


MESSAGES = b'{"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]}\n'


@pytest.mark.parametrize(
    ("name", "data"), [("a.jsonl", MESSAGES), ("a.jsonl.gz", gzip.compress(MESSAGES, mtime=0))], ids=["plain", "gzip"]
)
def test_conversations_in_a_bucket_are_read_and_recorded_as_those_of_this_machine(
    bucket: Any, tmp_path: Path, name: str, data: bytes
) -> None:
    bucket.put_object(Bucket="crawl", Key=f"talks/{name}", Body=data)
    (tmp_path / name).write_bytes(data)
    kept = []
    for uri in (f"s3://crawl/talks/{name}", str(tmp_path / name)):
        (file,) = named_files([uri], 0)
        assert [row["messages"][1]["content"] for _, row in file.rows(dict)] == ["two"]
        (tmp_path / "output").mkdir(exist_ok=True)
        write_evidence([file], tmp_path / "output")
        kept.append((file.name, (tmp_path / "output/raw.parquet").read_bytes()))
        assert rows(tmp_path / "output" / LOCATIONS)[0]["uri"] == uri
    assert kept[0] == kept[1]


def test_conversations_that_are_not_in_the_bucket_are_named(bucket: Any) -> None:
    with pytest.raises(StoreError, match=r"s3://crawl/none\.jsonl: cannot be read from the object store"):
        list(named_files(["s3://crawl/none.jsonl"], 0)[0].rows(dict))


def test_a_checkpoint_in_a_bucket_has_the_files_that_are_read_and_a_fingerprint(bucket: Any) -> None:
    for name in ("config.json", "model.safetensors", "pytorch_model.bin", "old/config.json"):
        bucket.put_object(Bucket="crawl", Key=f"model/{name}", Body=name.encode())
    assert [file.relative for file in files_of("s3://crawl/model")] == ["config.json", "model.safetensors"]
    before = checkpoint_fingerprint("s3://crawl/model")
    with fetched_folder("s3://crawl/model", READ) as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
        assert (folder / "config.json").read_text() == "config.json"
    assert not folder.exists()
    bucket.put_object(Bucket="crawl", Key="model/config.json", Body=b"{}")
    assert checkpoint_fingerprint("s3://crawl/model") != before
    with pytest.raises(MissingArtifact, match=r"s3://crawl/nothing: no JSON or safetensors files"):
        checkpoint_fingerprint("s3://crawl/nothing")


def test_a_law_in_a_bucket_is_the_one_of_its_file(bucket: Any, tmp_path: Path) -> None:
    write_law(LAWS["deepseek"], tmp_path / "law.json")
    bucket.put_object(Bucket="crawl", Key="law.json", Body=(tmp_path / "law.json").read_bytes())
    assert find_law("s3://crawl/law.json") == find_law(str(tmp_path / "law.json"))
    before = law_fingerprint("s3://crawl/law.json")
    write_law(LAWS["chinchilla"], tmp_path / "law.json")
    bucket.put_object(Bucket="crawl", Key="law.json", Body=(tmp_path / "law.json").read_bytes())
    assert law_fingerprint("s3://crawl/law.json") != before
    bucket.put_object(Bucket="crawl", Key="law.json", Body=b"{}")
    with pytest.raises(ConfigError, match=r"^s3://crawl/law\.json: not a law file"):
        find_law("s3://crawl/law.json")


def test_buckets_of_both_kinds_are_told_from_paths() -> None:
    assert [in_bucket(uri) for uri in ("s3://b/x", "gs://b/x", "/b/x", "file:///b", "s3:/x", "s3-files/x")] == [
        *(True, True),
        *(False, False, False, False),
    ]
