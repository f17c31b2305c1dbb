"""Manifests as evidence: they come back as they were, and any change changes their digest."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import (
    FORMAT_VERSION,
    Artifact,
    CheckReport,
    Corpus,
    Expectation,
    FileRecord,
    Manifest,
    Mixture,
    ModelShape,
    sha256_of_file,
)
from components.errors import ArtifactError, ConfigError, DamagedArtifact, NewerFormat

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


def test_a_check_passes_unless_a_critical_expectation_fails() -> None:
    held = Expectation(name="held", observed="", passed=True)
    warned = Expectation(name="warned", observed="", passed=False, critical=False)
    failed = Expectation(name="failed", observed="", passed=False)
    assert CheckReport(name="c", expectations=(held, warned)).passed
    assert CheckReport(name="c", expectations=(held, warned, failed)).failures == (failed,)
    assert not CheckReport(name="c", expectations=(failed,)).passed


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert sha256_of_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_handle_is_of_its_kind() -> None:
    assert Corpus(uri="/a", digest="d") != Artifact(uri="/a", digest="d")


SHAPE: dict[str, Any] = {
    "n_layer": 2,
    "d_model": 64,
    "n_head": 4,
    "n_kv_head": 2,
    "d_ffn": 256,
    "vocab_size": 1024,
    "context": 128,
}


def test_a_shape_knows_the_width_of_its_heads() -> None:
    assert ModelShape(**SHAPE).d_head == 16


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, 0) for name in SHAPE),
        *((name, 1.5) for name in SHAPE),
        ("n_head", 5),
        ("n_head", 64),
        ("n_kv_head", 3),
    ],
)
def test_a_senseless_shape_is_refused_by_field(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"ModelShape\.{field} is "):
        ModelShape(**SHAPE | {field: value})


@pytest.mark.parametrize(
    ("shares", "limits", "field"),
    [
        ({}, {}, "shares"),
        ({"code": 0.5}, {"code": 1.0}, "shares"),
        ({"code": 1.5, "web": -0.5}, {"code": 1.0, "web": 1.0}, "shares"),
        ({"code": float("nan")}, {"code": 1.0}, "shares"),
        ({"code": 1.0}, {}, "epoch_limits"),
        ({"code": 1.0}, {"code": 0.0}, "epoch_limits"),
        ({"code": 1.0}, {"code": 1.0, "web": 1.0}, "epoch_limits"),
    ],
)
def test_a_senseless_mixture_is_refused_by_field(shares: dict[str, float], limits: dict[str, float], field: str) -> None:
    with pytest.raises(ConfigError, match=rf"Mixture\.{field} is "):
        Mixture(shares=shares, epoch_limits=limits)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6))
def test_shares_of_any_counts_make_a_mixture(counts: list[int]) -> None:
    shares = {str(number): count / sum(counts) for number, count in enumerate(counts)}
    assert Mixture(shares=shares, epoch_limits=dict.fromkeys(shares, 4.0)).shares == shares


@pytest.mark.parametrize(
    ("language_shares", "words"),
    [
        ({"maths": {"en": 1.0}}, "domains of the mixture: web, code"),
        ({"web": {"en": 1.5, "zh": -0.5}}, "positive shares"),
        ({"web": {"en": 0.5, "zh": 0.4}}, "shares that sum to 1"),
        ({"web": {}}, "shares that sum to 1"),
    ],
)
def test_a_mixture_of_languages_that_makes_no_sense_is_refused(language_shares: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"Mixture\.language_shares is .*; allowed: {words}"):
        Mixture(shares={"web": 0.8, "code": 0.2}, epoch_limits={"web": 4.0, "code": 4.0}, language_shares=language_shares)


def test_the_portions_of_a_mixture_are_its_domains_or_their_languages() -> None:
    shares = {"code": 0.2, "web": 0.8}
    mixture = Mixture(shares=shares, epoch_limits={"code": 4.0, "web": 4.0}, language_shares={"web": {"zh": 0.25, "other": 0.75}})
    assert mixture.portions == pytest.approx({"code": 0.2, "web/other": 0.6, "web/zh": 0.2})
    assert Mixture(**json.loads(mixture.to_json())) == mixture


def test_a_mixture_without_languages_is_written_as_before_there_were_any() -> None:
    mixture = Mixture(shares={"web": 1.0}, epoch_limits={"web": 4.0})
    assert mixture.to_json() == '{\n "epoch_limits": {\n  "web": 4.0\n },\n "shares": {\n  "web": 1.0\n }\n}\n'
