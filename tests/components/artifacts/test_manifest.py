"""Manifests as evidence: they come back as they were, and any change changes their digest."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import FORMAT_VERSION, Artifact, CheckReport, Expectation, FileRecord, Manifest
from components.errors import ArtifactError, DamagedArtifact, NewerFormat

# Lone surrogates are no text and cannot be written as UTF-8.
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.integers(0, 2**63) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ARTIFACTS = st.builds(Artifact, uri=TEXT, digest=TEXT)
EXPECTATIONS = st.builds(Expectation, name=TEXT, observed=TEXT, passed=st.booleans(), critical=st.booleans())
MANIFESTS = st.builds(
    Manifest,
    step=TEXT,
    kind=TEXT,
    cache_key=TEXT,
    config=st.dictionaries(TEXT, JSON, max_size=3),
    code_digest=TEXT,
    environment_digest=TEXT,
    inputs=st.dictionaries(TEXT, ARTIFACTS, max_size=3),
    files=st.lists(
        st.builds(FileRecord, path=TEXT, sha256=TEXT, size=st.integers(0), rows=st.none() | st.integers(0)), max_size=3
    ).map(tuple),
    figures=st.dictionaries(TEXT, JSON, max_size=3),
    checks=st.lists(
        st.builds(CheckReport, name=TEXT, expectations=st.lists(EXPECTATIONS, max_size=3).map(tuple), report=TEXT), max_size=2
    ).map(tuple),
    format_version=st.integers(1, FORMAT_VERSION),
)

MANIFEST = Manifest(
    step="curation",
    kind="Corpus",
    cache_key="k",
    config={"seed": 0},
    code_digest="c",
    environment_digest="e",
    inputs={"corpus": Artifact(uri="/a", digest="d")},
    files=(FileRecord(path="a.parquet", sha256="s", size=3, rows=1),),
    figures={"documents": 5},
    checks=(CheckReport(name="corpus", expectations=(Expectation(name="n", observed="o", passed=True),)),),
)

CHANGES: dict[str, dict[str, Any]] = {
    "step": {"step": "curation "},
    "kind": {"kind": "Tokenizer"},
    "cache key": {"cache_key": "l"},
    "config": {"config": {"seed": 1}},
    "type in the config": {"config": {"seed": 0.0}},
    "code": {"code_digest": "d"},
    "environment": {"environment_digest": "f"},
    "name of an input": {"inputs": {"corpora": Artifact(uri="/a", digest="d")}},
    "digest of an input": {"inputs": {"corpus": Artifact(uri="/a", digest="e")}},
    "hash of a file": {"files": (FileRecord(path="a.parquet", sha256="t", size=3, rows=1),)},
    "size of a file": {"files": (FileRecord(path="a.parquet", sha256="s", size=4, rows=1),)},
    "rows of a file": {"files": (FileRecord(path="a.parquet", sha256="s", size=3),)},
    "missing file": {"files": ()},
    "figure": {"figures": {"documents": 6}},
    "outcome of a check": {
        "checks": (CheckReport(name="corpus", expectations=(Expectation(name="n", observed="o", passed=False),)),)
    },
    "format version": {"format_version": 0},
}


@given(MANIFESTS)
def test_a_manifest_comes_back_as_it_was(manifest: Manifest) -> None:
    again = Manifest.from_bytes(manifest.to_bytes(), "here")
    assert again == manifest
    assert again.to_bytes() == manifest.to_bytes()


@given(MANIFESTS, MANIFESTS)
def test_two_manifests_have_one_digest_only_if_they_are_equal(first: Manifest, second: Manifest) -> None:
    assert (first.digest == second.digest) == (first.to_bytes() == second.to_bytes())
    if first.digest == second.digest:
        assert first == second


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_changes_the_digest(change: str) -> None:
    assert dataclasses.replace(MANIFEST, **CHANGES[change]).digest != MANIFEST.digest


def test_every_field_of_a_manifest_is_among_the_changes() -> None:
    changed = {name for change in CHANGES.values() for name in change}
    assert changed == {field.name for field in dataclasses.fields(Manifest)}


def test_the_order_of_keys_does_not_change_the_bytes() -> None:
    first = dataclasses.replace(MANIFEST, figures={"a": 1, "b": 2})
    second = dataclasses.replace(MANIFEST, figures={"b": 2, "a": 1})
    assert first.to_bytes() == second.to_bytes()


def test_figures_that_are_no_json_are_refused() -> None:
    for value in (float("nan"), float("inf"), "\ud800", {1, 2}):
        with pytest.raises(ArtifactError, match=r"^curation: config or figures are no JSON"):
            dataclasses.replace(MANIFEST, figures={"loss": value}).to_bytes()


def _raw(**changes: Any) -> bytes:
    return json.dumps(json.loads(MANIFEST.to_bytes()) | changes).encode()


def test_a_newer_format_is_refused_before_anything_else_is_read() -> None:
    data = json.dumps({"format_version": FORMAT_VERSION + 1}).encode()
    with pytest.raises(
        NewerFormat, match=rf"^here: format version {FORMAT_VERSION + 1}; this longrun reads up to {FORMAT_VERSION}"
    ):
        Manifest.from_bytes(data, "here")


BROKEN = [
    b"",
    b"{",
    b"\xff",
    b"[]",
    b"null",
    b"{}",
    _raw(inputs=[]),
    _raw(inputs={"a": {"uri": "x"}}),
    _raw(files=[{"path": "x"}]),
    _raw(files=None),
    _raw(checks=[{}]),
    _raw(checks=[{"name": "n", "expectations": [{"colour": "red"}], "report": ""}]),
    _raw(format_version="1"),
    _raw(format_version=None),
    _raw(step=3),
    _raw(config=None),
    _raw(figures=[]),
]


@pytest.mark.parametrize("data", BROKEN)
def test_what_is_no_manifest_is_refused_in_one_line_that_says_where(data: bytes) -> None:
    with pytest.raises(DamagedArtifact, match=r"^here: [^\n]+$"):
        Manifest.from_bytes(data, "here")


@given(st.binary(max_size=50))
def test_any_bytes_are_a_manifest_or_refused(data: bytes) -> None:
    with pytest.raises(DamagedArtifact):
        Manifest.from_bytes(data, "here")


@given(st.integers(0, len(MANIFEST.to_bytes()) - 2))
def test_a_manifest_cut_short_is_refused(length: int) -> None:
    with pytest.raises(DamagedArtifact):
        Manifest.from_bytes(MANIFEST.to_bytes()[:length], "here")
