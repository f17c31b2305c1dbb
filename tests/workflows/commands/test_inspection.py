"""What the reading commands do where artifacts are kept in a bucket."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Artifact
from components.ports.store import records_of
from infra.settings import Settings
from infra.storage import store_at
from tests.components.ports.store_suite import manifest_of
from tests.infra.s3_server import BUCKET, bucket
from workflows.commands.gc import delete_artifacts, unneeded
from workflows.steps.lineage import RAW, raw_differences, tree

ROOT = f"s3://{BUCKET}/site"


@pytest.fixture(scope="module", autouse=True)
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An S3 server in the environment, as a user would have it."""
    with bucket(tmp_path_factory.mktemp("s3") / "log") as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        yield


def _corpus(home: Path, raw: Path) -> Artifact:
    """A corpus in the bucket with its list of raw files."""
    store = store_at(ROOT, home)
    with store.writing("curation") as output:
        (output / "shard").write_bytes(b"x" * 1000)
        (record,) = records_of(raw)
        row = {"source": "mine", "uri": str(raw / record.path), "sha256": record.sha256, "bytes": record.size}
        pq.write_table(pa.Table.from_pylist([row]), output / RAW)
        return store.publish(output, manifest_of(output))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder of raw files."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.txt").write_text("words")
    return tmp_path / "raw"


def test_lineage_reads_the_list_of_raw_files_and_not_the_corpus(tmp_path: Path, raw: Path) -> None:
    artifact = _corpus(tmp_path / "home", raw)
    found = tree(store_at(ROOT, tmp_path / "other"), artifact)
    assert [(source["source"], source["files"], source["bytes"]) for source in found["raw"]] == [("mine", 1, 5)]
    assert not [path for path in (tmp_path / "other").rglob("*") if path.is_file()]


def test_a_changed_raw_file_is_named_from_another_home(tmp_path: Path, raw: Path) -> None:
    artifact, store = _corpus(tmp_path / "home", raw), store_at(ROOT, tmp_path / "other")
    assert raw_differences(store, artifact) == (1, [])
    (raw / "a.txt").write_text("other")
    count, (difference,) = raw_differences(store, artifact)
    assert count == 1
    assert "sha256 differs from what was read" in difference


def test_gc_deletes_copies_in_the_home_and_nothing_in_the_bucket(tmp_path: Path, raw: Path) -> None:
    settings = Settings(home=tmp_path / "home", artifact_root=ROOT)
    artifact = _corpus(settings.home, raw)
    waste = unneeded(settings, [])
    assert [entry["uri"] for entry in waste] == [artifact.uri]
    delete_artifacts(settings, waste)
    assert unneeded(settings, []) == []
    assert store_at(ROOT, settings.home).differences(artifact) == []
