"""What a pod asks from inside: each answer against a real store and a real MLflow, each problem in a line."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import from_inside
from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import Profile, to_toml
from tests.infra.conftest import sample_profile
from tests.infra.s3_server import BUCKET, bucket, client
from tests.paths import ROOT
from tests.servers import free_port

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bucket(tmp_path_factory.mktemp("s3") / "log") as url:
        yield url


@pytest.fixture
def profile(store: str, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv(from_inside.RETRY_VARIABLE, "0")
    nowhere = f"http://127.0.0.1:{free_port()}"
    return sample_profile(
        artifact_root=f"s3://{BUCKET}/x", object_store_endpoint=store, mlflow_uri=nowhere, source_claim="sources"
    )


def test_an_object_is_written_read_and_deleted(profile: Profile, store: str) -> None:
    assert from_inside.object_store(profile) == f"s3://{BUCKET}/x: wrote, read and deleted an object"
    assert "Contents" not in client(store).list_objects_v2(Bucket=BUCKET)


def test_claims_are_written_to_and_read(profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "text").touch()
    known = {answer["what"]: answer for answer in from_inside.answers(profile, 60, tmp_path)}
    assert known["checkpoint claim"]["observed"] == "checkpoints: wrote, read and deleted a file"
    assert known["source claim"]["observed"] == "sources: readable, 1 entries"
    assert [*(tmp_path / "checkpoints").iterdir()] == []
    assert "does not answer" in known["mlflow"]["problem"] or "refused" in known["mlflow"]["problem"]


def test_a_pod_prints_every_answer_whatever_is_wrong(profile: Profile) -> None:
    wrong = to_toml(profile).replace(f"s3://{BUCKET}/x", "s3://absent/x")
    environment = os.environ | {CARRIER: wrong}
    command = [sys.executable, "-m", "infra.from_inside"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    known = {answer["what"]: answer["problem"] for answer in json.loads(done.stdout.splitlines()[-1])}
    assert list(known) == ["object store", "mlflow", "checkpoint claim", "source claim"]
    assert "absent" in known["object store"]
    assert all("\n" not in problem and problem for problem in known.values())


def test_what_never_answers_is_given_up() -> None:
    (answer,) = from_inside._asked({"mlflow": lambda: str(threading.Event().wait())}, 0.05)
    assert answer["problem"].startswith("no answer within 0.05 s")


def test_without_a_profile_it_says_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CARRIER, raising=False)
    with pytest.raises(SystemExit, match="runs only in pods"):
        from_inside.main()
