"""Repositories of the hub: revisions become commits, listings are whole, and each failure says what to do."""

import io
from pathlib import Path

import pytest

from components import hub, locations
from components.errors import ConfigError, SourceError, StoreError
from components.hub import DATASETS, MODELS, HubURI, parse, pinned
from tests.hub_server import Hub, Repository

FILES = {"README.md": b"a card", "data/a b.jsonl": b'{"text": "a"}\n', "data/large.jsonl": b'{"text": "b"}\n' * 200}


@pytest.fixture
def server(hub_server: Hub) -> Hub:
    """A hub with one dataset and one model."""
    hub_server.repositories["datasets/someone/texts"] = Repository(files=dict(FILES), licence="odc-by")
    hub_server.repositories["models/someone/llama"] = Repository(files={"config.json": b"{}", "sub/other.json": b"{}"})
    return hub_server


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("hf://datasets/a/b", HubURI(kind=DATASETS, name="a/b", revision="main", path="")),
        ("hf://a/b@v1.0", HubURI(kind="", name="a/b", revision="v1.0", path="")),
        ("hf://models/a/b@refs%2Fpr%2F1/c/d e.json", HubURI(kind=MODELS, name="a/b", revision="refs/pr/1", path="c/d e.json")),
        ("hf://datasets/a/b.c_d-e/sub/", HubURI(kind=DATASETS, name="a/b.c_d-e", revision="main", path="sub")),
    ],
)
def test_a_uri_names_kind_repository_revision_and_path(uri: str, expected: HubURI) -> None:
    assert parse(uri) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize("uri", ["hf://", "hf://gpt2", "hf:///a/b", "hf://a/b@", "hf://spaces a/b", "hf://datasets/a"])
def test_another_form_is_refused_with_the_right_one(uri: str) -> None:
    with pytest.raises(ConfigError, match="allowed: hf://datasets/OWNER/NAME@REVISION/PATH"):
        parse(uri)


def test_a_branch_becomes_the_commit_that_it_is_now_and_a_commit_is_not_asked_for(server: Hub) -> None:
    repository = server.repositories["datasets/someone/texts"]
    before = pinned("hf://datasets/someone/texts@main/data")
    assert str(before) == f"hf://datasets/someone/texts@{repository.commit}/data"
    repository.push({"data/c.jsonl": b"{}"})
    assert pinned("hf://datasets/someone/texts@main/data") != before
    asked = len(server.requests)
    assert pinned(str(before)) == before
    assert len(server.requests) == asked
    assert [file.path for file in hub.files(before)] == ["data/a b.jsonl", "data/large.jsonl"]


def test_without_a_kind_a_name_is_that_of_data_or_of_a_model_as_the_reader_needs(server: Hub) -> None:
    assert pinned("hf://someone/texts", (MODELS, DATASETS)).kind == DATASETS
    assert pinned("hf://someone/llama").kind == MODELS
    server.repositories["models/someone/texts"] = server.repositories["models/someone/llama"]
    assert pinned("hf://someone/texts").kind == DATASETS
    assert pinned("hf://someone/texts", (MODELS, DATASETS)).kind == MODELS


def test_all_pages_of_a_listing_are_read_and_a_large_file_is_known_by_its_sha256(server: Hub) -> None:
    entries = locations.find("hf://datasets/someone/texts", "x")
    assert [(entry.relative, entry.size) for entry in entries] == [(path, len(FILES[path])) for path in sorted(FILES)]
    large = next(entry for entry in entries if entry.relative == "data/large.jsonl")
    assert large.stamp == locations.sha256_at(large.location)


def test_a_single_file_is_listed_fetched_and_hashed(server: Hub, tmp_path: Path) -> None:
    (entry,) = locations.find("hf://datasets/someone/texts/data/a b.jsonl", "x")
    assert entry.relative == "a b.jsonl"
    assert locations.read_bytes(entry.location) == FILES["data/a b.jsonl"]
    assert locations.size_of(entry.location) == len(FILES["data/a b.jsonl"])
    with locations.fetched(entry.location, tmp_path) as path:
        assert path.read_bytes() == FILES["data/a b.jsonl"]


def test_a_folder_of_a_model_is_fetched_with_the_files_directly_in_it(server: Hub) -> None:
    with locations.fetched_folder("hf://someone/llama@main", ("*.json",)) as folder:
        assert [path.name for path in folder.rglob("*") if path.is_file()] == ["config.json"]


def test_a_path_that_does_not_exist_is_a_missing_source(server: Hub) -> None:
    with pytest.raises(SourceError, match=r"source x: hf://datasets/someone/texts@.*/nothing does not exist"):
        locations.find("hf://datasets/someone/texts/nothing", "x")
    with pytest.raises(StoreError, match="does not exist"):
        locations.size_of("hf://datasets/someone/texts/nothing")


@pytest.mark.parametrize("uri", ["hf://datasets/someone/nothing", "hf://datasets/someone/texts@v9", "hf://someone/nothing"])
def test_an_unknown_repository_or_revision_says_what_to_check(uri: str, server: Hub) -> None:
    with pytest.raises(StoreError, match=r"that you may read; check the name and the revision, .* set HF_TOKEN"):
        pinned(uri)


def test_a_private_repository_is_read_with_a_token_that_no_other_host_gets(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.repositories["datasets/someone/secret"] = Repository(files=dict(FILES), token="hf_abc")
    with pytest.raises(StoreError, match="set HF_TOKEN"):
        pinned("hf://datasets/someone/secret")
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    (entry,) = locations.find("hf://datasets/someone/secret/data/large.jsonl", "x")
    assert locations.read_bytes(entry.location) == FILES["data/large.jsonl"]
    assert server.tokens_elsewhere == [""]


def test_a_gated_repository_says_that_its_terms_must_be_accepted(server: Hub) -> None:
    server.repositories["datasets/someone/gated"] = Repository(files=dict(FILES), token="hf_abc", gated=True)
    (entry,) = locations.find("hf://datasets/someone/gated/README.md", "x")
    with pytest.raises(StoreError, match="accept the terms of the repository on the hub, and set HF_TOKEN"):
        locations.read_bytes(entry.location)


def test_a_transient_failure_is_repeated_and_a_lasting_one_is_said_with_its_status(server: Hub) -> None:
    server.failures = [503, 429]
    uri = pinned("hf://datasets/someone/texts/README.md")
    server.failures = [500]
    stream = io.BytesIO()
    hub.download(uri, stream)
    assert stream.getvalue() == FILES["README.md"]
    server.failures = [503] * 4
    with pytest.raises(
        StoreError, match=r"cannot be read from the hub \(it answered with status 503\); check the network, HF_ENDPOINT"
    ):
        pinned("hf://datasets/someone/texts")
    server.failures = [400, 400]
    with pytest.raises(StoreError, match="status 400"):
        pinned("hf://datasets/someone/texts")
    assert server.failures == [400]


def test_a_hub_that_cannot_be_reached_is_said(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match=r"\(ConnectError\)"):
        pinned("hf://datasets/someone/texts")


def test_the_licence_is_what_the_card_states(server: Hub) -> None:
    assert locations.licence_of("hf://datasets/someone/texts") == "odc-by"
    assert locations.licence_of("hf://someone/llama") == ""
    assert locations.licence_of("s3://bucket/texts") == ""
