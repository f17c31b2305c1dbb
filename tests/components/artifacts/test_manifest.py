"""Manifests as evidence: they come back as they were, any change changes their digest, and any changed byte is seen."""

import dataclasses
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import FORMAT_VERSION, Artifact, CheckReport, Expectation, FileRecord, Making, Manifest
from components.errors import ArtifactError, DamagedArtifact, NewerFormat

# Lone surrogates are no text and cannot be written as UTF-8.
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBERS = st.integers(0, 2**63) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
DIGESTS = st.text("0123456789abcdef", min_size=1, max_size=20)
ARTIFACTS = st.builds(Artifact, uri=TEXT, digest=DIGESTS, content=DIGESTS)
ARTIFACTS_OF_FORMAT_1 = st.builds(Artifact, uri=TEXT, digest=DIGESTS)
EXPECTATIONS = st.builds(Expectation, name=TEXT, observed=TEXT, passed=st.booleans(), critical=st.booleans())
ROWS = st.none() | st.integers(0)
CONFIGS = st.dictionaries(TEXT, JSON, max_size=3)
COMMON: dict[str, Any] = {
    "step": TEXT,
    "kind": TEXT,
    "cache_key": TEXT,
    "config": CONFIGS,
    "code_digest": TEXT,
    "environment_digest": TEXT,
    "figures": CONFIGS,
    "checks": st.lists(
        st.builds(CheckReport, name=TEXT, expectations=st.lists(EXPECTATIONS, max_size=3).map(tuple), report=TEXT), max_size=2
    ).map(tuple),
}
MAKINGS = st.builds(
    Making,
    started=TEXT,
    finished=TEXT,
    attempt=st.integers(1),
    user=TEXT,
    machine=TEXT,
    devices=st.lists(TEXT, max_size=2).map(tuple),
    version=TEXT,
    commit=TEXT,
    root=TEXT,
    measurements=st.dictionaries(TEXT, NUMBERS, max_size=3),
)
MANIFESTS = st.builds(
    Manifest,
    **COMMON,
    deciding=CONFIGS,
    inputs=st.dictionaries(TEXT, ARTIFACTS, max_size=3),
    files=st.lists(
        st.builds(FileRecord, path=TEXT, sha256=TEXT, size=st.integers(0), rows=ROWS, record=st.booleans()), max_size=3
    ).map(tuple),
    making=MAKINGS,
) | st.builds(
    Manifest,
    **COMMON,
    inputs=st.dictionaries(TEXT, ARTIFACTS_OF_FORMAT_1, max_size=3),
    files=st.lists(st.builds(FileRecord, path=TEXT, sha256=TEXT, size=st.integers(0), rows=ROWS), max_size=3).map(tuple),
    format_version=st.just(1),
)

MANIFEST = Manifest(
    step="curation",
    kind="Corpus",
    cache_key="k",
    config={"seed": 0},
    code_digest="c",
    environment_digest="e",
    inputs={"corpus": Artifact(uri="/a", digest="d", content="e")},
    files=(FileRecord(path="a.parquet", sha256="s", size=3, rows=1),),
    figures={"documents": 5},
    checks=(CheckReport(name="corpus", expectations=(Expectation(name="n", observed="o", passed=True),)),),
)

CONTENT_CHANGES: dict[str, dict[str, Any]] = {
    "step": {"step": "curation "},
    "kind": {"kind": "Tokenizer"},
    "config that decides": {"deciding": {"seed": 1}},
    "type in the config": {"deciding": {"seed": 0.0}},
    "name of an input": {"inputs": {"corpora": Artifact(uri="/a", digest="d", content="e")}},
    "content of an input": {"inputs": {"corpus": Artifact(uri="/a", digest="d", content="f")}},
    "hash of a file": {"files": (FileRecord(path="a.parquet", sha256="t", size=3, rows=1),)},
    "size of a file": {"files": (FileRecord(path="a.parquet", sha256="s", size=4, rows=1),)},
    "rows of a file": {"files": (FileRecord(path="a.parquet", sha256="s", size=3),)},
    "file that is record now": {"files": (FileRecord(path="a.parquet", sha256="s", size=3, rows=1, record=True),)},
    "missing file": {"files": ()},
    "figure": {"figures": {"documents": 6}},
    "outcome of a check": {
        "checks": (CheckReport(name="corpus", expectations=(Expectation(name="n", observed="o", passed=False),)),)
    },
}

RECORD_CHANGES: dict[str, dict[str, Any]] = {
    "cache key": {"cache_key": "l"},
    "config that decides nothing": {"config": {"seed": 0, "uri": "/there"}},
    "code": {"code_digest": "d"},
    "environment": {"environment_digest": "f"},
    "URI of an input": {"inputs": {"corpus": Artifact(uri="/b", digest="d", content="e")}},
    "evidence of an input": {"inputs": {"corpus": Artifact(uri="/a", digest="e", content="e")}},
    "page": {"files": (*MANIFEST.files, FileRecord(path="page.html", sha256="s", size=3, record=True))},
    **{
        name: {"making": dataclasses.replace(Making(), **{name: value})}
        for name, value in {
            "started": "2026-11-30T10:00:00.000000Z",
            "finished": "2026-11-30T10:00:01.000000Z",
            "attempt": 2,
            "user": "somebody",
            "machine": "Linux x86_64",
            "devices": ("NVIDIA H100",),
            "version": "1.0",
            "commit": "abc",
            "root": "s3://bucket",
            "measurements": {"seconds": 1.5},
        }.items()
    },
}

CHANGES = CONTENT_CHANGES | RECORD_CHANGES


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


@pytest.mark.parametrize("change", CONTENT_CHANGES)
def test_what_the_artifact_is_changes_its_content_digest(change: str) -> None:
    assert dataclasses.replace(MANIFEST, **CHANGES[change]).content_digest != MANIFEST.content_digest


@pytest.mark.parametrize("change", RECORD_CHANGES)
def test_how_it_was_made_does_not_change_its_content_digest(change: str) -> None:
    assert dataclasses.replace(MANIFEST, **CHANGES[change]).content_digest == MANIFEST.content_digest


def test_every_field_of_a_manifest_is_among_the_changes() -> None:
    changed = {name for change in CHANGES.values() for name in change}
    assert changed == {field.name for field in dataclasses.fields(Manifest)} - {"format_version"}
    assert {field.name for field in dataclasses.fields(Making)} <= CHANGES.keys()


def test_the_manifest_has_both_digests_over_its_parts_as_anyone_can_compute_them() -> None:
    raw = json.loads(MANIFEST.to_bytes())

    def sha256(value: object) -> str:
        text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
        return hashlib.sha256(text.encode()).hexdigest()

    assert raw.keys() == {"format_version", "content", "record", "content_digest", "evidence_digest"}
    assert raw["content_digest"] == sha256(raw["content"]) == MANIFEST.content_digest
    assert raw["evidence_digest"] == sha256({"content": raw["content"], "record": raw["record"]}) == MANIFEST.digest


@pytest.mark.parametrize("version", [1, FORMAT_VERSION])
def test_any_changed_byte_is_seen_by_whoever_reads_it(version: int) -> None:
    inputs = {"corpus": Artifact(uri="/a", digest="d", content="d" if version == 1 else "e")}
    data = dataclasses.replace(MANIFEST, format_version=version, inputs=inputs).to_bytes()
    pinned = Manifest.from_bytes(data, "here").digest
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        try:
            manifest = Manifest.from_bytes(bytes(changed), "here")
        except (DamagedArtifact, NewerFormat):
            continue
        # format 1 does not have its digest in it: a handle has
        assert version == 1
        assert manifest.digest != pinned


@pytest.mark.parametrize("change", [b" ", b"\n", b'{"more": 1}'])
def test_bytes_that_were_added_are_seen(change: bytes) -> None:
    with pytest.raises(DamagedArtifact, match=r"^here: "):
        Manifest.from_bytes(MANIFEST.to_bytes() + change, "here")


def test_a_part_that_was_changed_with_its_digest_does_not_fit_the_other_digest() -> None:
    raw = json.loads(MANIFEST.to_bytes())
    raw["content"]["figures"] = {"documents": 6}
    raw["content_digest"] = dataclasses.replace(MANIFEST, figures={"documents": 6}).content_digest
    data = (json.dumps(raw, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()
    with pytest.raises(DamagedArtifact, match=r"^here: changed after it was written"):
        Manifest.from_bytes(data, "here")


def test_a_handle_has_where_the_artifact_is_and_both_digests() -> None:
    assert MANIFEST.at("artifacts/x") == Artifact(uri="artifacts/x", digest=MANIFEST.digest, content=MANIFEST.content_digest)
    old = dataclasses.replace(MANIFEST, format_version=1)
    assert old.at("artifacts/x") == Artifact(uri="artifacts/x", digest=old.digest)


def test_the_order_of_keys_does_not_change_the_bytes() -> None:
    first = dataclasses.replace(MANIFEST, figures={"a": 1, "b": 2})
    second = dataclasses.replace(MANIFEST, figures={"b": 2, "a": 1})
    assert first.to_bytes() == second.to_bytes()


def test_figures_that_are_no_json_are_refused() -> None:
    for value in (float("nan"), float("inf"), "\ud800", {1, 2}):
        with pytest.raises(ArtifactError, match=r"^curation: config or figures cannot be written as JSON"):
            dataclasses.replace(MANIFEST, figures={"loss": value}).to_bytes()


def _raw(**changes: Any) -> bytes:
    """A manifest of format 1 with other values at its top."""
    return json.dumps(json.loads(dataclasses.replace(MANIFEST, format_version=1).to_bytes()) | changes).encode()


def _changed(half: str, **changes: Any) -> bytes:
    """A manifest with other values in one of its parts."""
    raw = json.loads(MANIFEST.to_bytes())
    return json.dumps(raw | {half: raw[half] | changes}).encode()


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
    _raw(format_version=True),
    _raw(format_version=0),
    _raw(format_version=2),
    _changed("content"),
    _changed("content", inputs={}),
    _changed("content", files=None),
    _changed("content", figures=[]),
    _changed("content", checks=[{}]),
    _changed("record", inputs=[]),
    _changed("record", inputs={"a": {"uri": "x"}}),
    _changed("record", colour="red"),
    _changed("record", devices=None),
    _changed("record", measurements={"seconds": float("nan")}),
    MANIFEST.to_bytes().replace(b'"record"', b'"recorf"'),
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
