"""Data that breaks each expectation on a corpus."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.checks.corpus import check
from components.checks.limits import CorpusLimits

LIMITS = CorpusLimits(validation_documents=5)

BREAKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "documents: has rows": ("documents", lambda t: t.iloc[:0]),
    "documents: id has no nulls": ("documents", lambda t: t.assign(id=t["id"].where(t.index > 0))),
    "documents: id has no duplicates": ("documents", lambda t: t.assign(id=t["id"].replace(t["id"][0], t["id"][1]))),
    "documents: source has no nulls": ("documents", lambda t: t.assign(source=t["source"].where(t.index > 0))),
    "documents: domain has no nulls": ("documents", lambda t: t.assign(domain=t["domain"].where(t.index > 0))),
    "documents: bytes is at least 0": ("documents", lambda t: t.assign(bytes=-1)),
    "documents: every document is kept in a split, or refused with a reason": ("documents", lambda t: t.assign(reason="")),
    "kept: has rows": ("documents", lambda t: t.assign(kept=False)),
    "kept: split is one of train, validation": ("documents", lambda t: t.assign(split="test")),
    "kept: language is an ISO 639 code, code or other": ("documents", lambda t: t.assign(language="French")),
    "kept: bytes is between 1 and 50,000,000": ("documents", lambda t: t.assign(bytes=t["bytes"].replace(1000, 60_000_000))),
    "kept: median bytes is between 200 and 50,000": ("documents", lambda t: t.assign(bytes=20)),
    "kept: bytes_per_character is between 1 and 4": (
        "documents",
        lambda t: t.assign(characters=t["characters"].replace(990, 2000)),
    ),
    "domains: share is between 0.001 and 0.98": ("documents", lambda t: t.assign(domain="code")),
    "domains: validation_documents is at least 5": (
        "documents",
        lambda t: t.assign(split=t["split"].where(t["split"].isna(), "train")),
    ),
    "domains: mixture_share is finite": ("mixture.json", lambda m: {**m, "shares": {"code": 1.0}}),
    "sources: has rows": ("sources", lambda t: t.iloc[:0]),
    "sources: kept_documents is at least 1": ("sources", lambda t: t.assign(kept_documents=0)),
    "sources: refused_share is between 0 and 0.95": ("sources", lambda t: t.assign(refused_documents=49)),
    "sources: set_aside_files is 0": ("sources", lambda t: t.assign(set_aside_files=1)),
    "sources: duplicate_share is between 0 and 0.9": ("sources", lambda t: t.assign(duplicate_documents=48)),
    "sources: duplicate_bytes_share is between 0 and 0.9": ("sources", lambda t: t.assign(duplicate_bytes=t["bytes"])),
    "sources: kept, refused and duplicate documents add up to the documents listed": (
        "sources",
        lambda t: t.assign(duplicate_documents=1),
    ),
    "clusters: share is between 0 and 0.25": ("clusters", lambda t: t.assign(share=0.3)),
    "audit: the similarity of each sampled removal, counted anew, reaches the threshold": (
        "audit",
        lambda t: t.assign(counted=0.7, similar=False),
    ),
    "removal precision: lower_end is at least 0.98": ("precision", lambda t: t.assign(low=0.95)),
}


@pytest.mark.long
def test_a_good_artifact_passes(corpus: Path, output: Path) -> None:
    report = check(LIMITS, artifact=corpus, output=output)
    assert [one.name for one in report.expectations if not one.passed] == []
    assert report.passed
    assert (output / report.report).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_expectation_has_data_that_breaks_it(corpus: Path, output: Path) -> None:
    report = check(LIMITS, artifact=corpus, output=output)
    assert [one.name for one in report.expectations] == list(BREAKS)


@pytest.mark.long
@pytest.mark.parametrize("expectation", BREAKS)
def test_a_broken_expectation_is_named(expectation: str, corpus: Path, output: Path, spoil: Any) -> None:
    name, change = BREAKS[expectation]
    spoil(corpus, name, change)
    report = check(LIMITS, artifact=corpus, output=output)
    assert expectation in [one.name for one in report.expectations if not one.passed]


def test_the_observed_value_names_the_domain_that_is_starved(corpus: Path, output: Path, spoil: Any) -> None:
    spoil(corpus, "mixture.json", lambda mixture: {**mixture, "shares": {**mixture["shares"], "maths": 0.1}})
    report = check(LIMITS, artifact=corpus, output=output)
    observed = {one.name: one.observed for one in report.failures}
    assert observed["domains: share is between 0.001 and 0.98"] == "1 of 3 rows: domain maths, share 0"


def test_a_corpus_of_one_domain_passes(corpus: Path, output: Path, spoil: Any) -> None:
    spoil(corpus, "documents", lambda t: t.assign(domain="code"))
    spoil(corpus, "mixture.json", lambda mixture: {**mixture, "shares": {"code": 1.0}})
    assert check(LIMITS, artifact=corpus, output=output).passed


def test_counts_that_disagree_with_the_documents_are_found(corpus: Path, output: Path, spoil: Any) -> None:
    spoil(corpus, "sources", lambda t: t.assign(documents=60, refused_documents=15))
    report = check(LIMITS, artifact=corpus, output=output)
    assert [one.name for one in report.failures] == [
        "sources: kept, refused and duplicate documents add up to the documents listed"
    ]


def test_a_source_that_loses_more_than_its_budget_is_named_with_its_largest_clusters(
    corpus: Path, output: Path, spoil: Any
) -> None:
    spoil(corpus, "sources", lambda t: t.assign(duplicate_documents=[48, 0]))
    report = check(LIMITS, artifact=corpus, output=output)
    observed = {one.name: one.observed for one in report.failures}["sources: duplicate_share is between 0 and 0.9"]
    assert "folder:a" in observed
    assert "2 like 000000000000" in observed


def test_a_corpus_without_duplicates_has_no_clusters_and_passes(corpus: Path, output: Path, spoil: Any) -> None:
    spoil(corpus, "clusters", lambda t: t.iloc[:0])
    assert check(LIMITS, artifact=corpus, output=output).passed


def test_a_removal_without_its_partner_is_named(corpus: Path, output: Path, spoil: Any) -> None:
    spoil(corpus, "audit", lambda t: t.assign(counted=0.71, similar=False))
    (failure,) = check(LIMITS, artifact=corpus, output=output).failures
    assert all(words in failure.observed for words in ("counted 0.71", "kept 0000", "removed 1111"))


def test_a_corpus_without_removals_has_nothing_to_audit_and_passes(corpus: Path, output: Path, spoil: Any) -> None:
    spoil(corpus, "audit", lambda t: t.iloc[:0])
    spoil(corpus, "precision", lambda t: t.iloc[:0])
    assert check(LIMITS, artifact=corpus, output=output).passed
