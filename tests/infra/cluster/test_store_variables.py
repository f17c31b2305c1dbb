"""What pods read to reach a store: each library, with the variables of a pod and nothing else, against a real S3 API."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.cluster.store_variables import store_variables
from tests.infra.conftest import sample_profile
from tests.paths import PACKAGES, ROOT
from tests.servers import client, object_store

KEYS = {
    "AWS_ACCESS_KEY_ID": "kubernetes:object-store/AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY": "kubernetes:object-store/AWS_SECRET_ACCESS_KEY",
}
VALUES = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}

LIBRARIES = {
    "obstore": """
import obstore
from obstore.store import from_url
found = bytes(obstore.get(from_url("s3://artifacts/x"), "hello").bytes())
""",
    "sources in a bucket": """
from components.locations import read_bytes
found = read_bytes("s3://artifacts/x/hello")
""",
    "flyte": """
import asyncio, flyte.storage
found = asyncio.run(flyte.storage.get("s3://artifacts/x/hello", TARGET))
found = open(found, "rb").read()
""",
    "boto3": """
import boto3
found = boto3.client("s3").get_object(Bucket="artifacts", Key="x/hello")["Body"].read()
""",
    "mlflow": """
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
found = open(S3ArtifactRepository("s3://artifacts/x").download_artifacts("hello", TARGET), "rb").read()
""",
}
"""How each library that longrun's images hold reads s3://artifacts/x/hello, told nothing but by its environment."""


def in_a_pod(secrets: Mapping[str, str], **changes: Any) -> dict[str, str]:
    """The variables of a pod, its secrets resolved as the kubelet does it."""
    profile = sample_profile(artifact_root="s3://artifacts/x", secrets=dict(secrets), **changes)
    variables = store_variables(profile)
    references = {**variables.secret, **profile.pod_secrets}
    return {**variables.plain, **{name: VALUES[key] for name, (_, key) in references.items()}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with object_store(tmp_path_factory.mktemp("store") / "log") as url, pytest.MonkeyPatch.context() as patch:
        for name, value in VALUES.items():
            patch.setenv(name, value)
        client(url).create_bucket(Bucket="artifacts")
        client(url).put_object(Bucket="artifacts", Key="x/hello", Body=b"from the store")
        yield url


def read_with(library: str, variables: Mapping[str, str], target: Path) -> str:
    """What the library reads in a process of its own that has these variables and none of ours; or its failure."""
    code = f"TARGET = {str(target)!r}\n{LIBRARIES[library]}\nprint(found)"
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**kept, **variables}, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout.splitlines()[-1] if done.returncode == 0 else done.stderr.splitlines()[-1]


SLOW = ("mlflow",)  # its import takes seconds


@pytest.mark.parametrize("library", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in LIBRARIES])
def test_every_library_finds_a_store_of_ones_own_without_tls(library: str, store: str, tmp_path: Path) -> None:
    variables = in_a_pod(KEYS, object_store_endpoint=store)
    assert read_with(library, variables, tmp_path) == "b'from the store'"


def test_without_the_table_flyte_asks_amazon(store: str, tmp_path: Path) -> None:
    former = {**VALUES, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "FLYTE_STORAGE_RETRIES": "0"}
    assert "from the store" not in read_with("flyte", former, tmp_path)


def test_a_key_under_any_of_its_names_is_there_under_all_and_once() -> None:
    variables = store_variables(sample_profile(secrets={"FLYTE_AWS_ACCESS_KEY_ID": "kubernetes:s/k"}))
    assert variables.secret == {"AWS_ACCESS_KEY_ID": ("s", "k")}
    assert set(store_variables(sample_profile(secrets=KEYS)).secret) == {"FLYTE_AWS_ACCESS_KEY_ID", "FLYTE_AWS_SECRET_ACCESS_KEY"}


def test_what_the_profile_names_itself_is_not_set_over_it() -> None:
    named = {"AWS_ENDPOINT_URL_S3": "kubernetes:s/endpoint"}
    assert "AWS_ENDPOINT_URL_S3" not in store_variables(sample_profile(secrets=named, object_store_endpoint="http://s3")).plain


def test_by_identity_on_amazon_nothing_is_set_that_could_stand_in_its_way() -> None:
    variables = store_variables(sample_profile(secrets={}))
    assert (variables.plain, variables.secret) == ({}, {})
    assert store_variables(sample_profile(secrets={}, object_store_region="eu-central-1")).plain == {
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }


def test_with_a_key_nobody_asks_a_metadata_service_and_with_tls_nobody_goes_without() -> None:
    plain = store_variables(sample_profile(secrets=KEYS, object_store_endpoint="https://s3.example.org")).plain
    assert plain["AWS_EC2_METADATA_DISABLED"] == "true"
    assert "AWS_ALLOW_HTTP" not in plain
    assert plain["AWS_REGION"] == "us-east-1"


def test_google_s_store_has_a_key_of_its_own_or_an_identity_and_nothing_of_amazon_s() -> None:
    key = {"GOOGLE_SERVICE_ACCOUNT_KEY": "kubernetes:object-store/key.json"}
    for secrets in (key, {}):
        variables = store_variables(sample_profile(artifact_root="gs://artifacts/x", secrets=secrets))
        assert (variables.plain, variables.secret) == ({}, {})


def test_obstore_reads_google_s_key_from_that_variable() -> None:
    code = 'from obstore.store import from_url; from_url("gs://artifacts/x"); print("made")'
    for key, read in (("", "made"), (json.dumps({"disable_oauth": 1}), "expected a boolean")):
        variables = {"PATH": os.environ["PATH"]} | ({"GOOGLE_SERVICE_ACCOUNT_KEY": key} if key else {})
        done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
        assert read in done.stdout + done.stderr


def test_nothing_of_ours_opens_a_bucket_with_pyarrow_which_reads_no_endpoint() -> None:
    texts = {path: path.read_text(encoding="utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert [str(path) for path, text in texts.items() if "S3FileSystem" in text or "from_uri(" in text] == []
