"""Data that breaks each expectation on a corpus."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Mixture, Omissions, encoded
from components.checks.corpus import check
from components.checks.limits import CorpusLimits
from components.curation.duplicates.audit import interval
from components.errors import ConfigError
from tests.components.checks.conftest import mostly_omitted

LIMITS = CorpusLimits(min_validation_documents=5, min_cluster_documents=2)

ONLY_CODE = encoded(Mixture(shares={"code": 1.0}, epoch_limits={"code": 4.0}))

BREAKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "documents: has rows": ("documents", lambda t: t.iloc[:0]),
    "documents: id has no nulls": ("documents", lambda t: t.assign(id=t["id"].where(t.index > 0))),
    "documents: source has no nulls": ("documents", lambda t: t.assign(source=t["source"].where(t.index > 0))),
    "documents: domain has no nulls": ("documents", lambda t: t.assign(domain=t["domain"].where(t.index > 0))),
    "documents: bytes is at least 0": ("documents", lambda t: t.assign(bytes=-1)),
    "documents: every document is either kept in a split or removed with a reason": ("documents", lambda t: t.assign(reason="")),
    "repeated ids: id has no duplicates": ("documents", lambda t: t.assign(id=t["id"].replace(t["id"][0], t["id"][1]))),
    "kept: has rows": ("documents", lambda t: t.assign(kept=False)),
    "kept: split is one of train, validation": ("documents", lambda t: t.assign(split="test")),
    "kept: language is an ISO 639 code, code or other": ("documents", lambda t: t.assign(language="French")),
    "kept: bytes is between 1 and 50,000,000": ("documents", lambda t: t.assign(bytes=t["bytes"].replace(1000, 60_000_000))),
    "kept: bytes_per_character is between 1 and 4": (
        "documents",
        lambda t: t.assign(characters=t["characters"].replace(990, 2000)),
    ),
    "lengths: median_bytes is between 200 and 50,000": ("documents", lambda t: t.assign(bytes=20)),
    "domains: share is between 0.001 and 0.98": ("documents", lambda t: t.assign(domain="code")),
    "domains: validation_documents is at least 5": (
        "documents",
        lambda t: t.assign(split=t["split"].where(t["split"].isna(), "train")),
    ),
    "domains: mixture_share is finite": ("mixture.json", lambda m: ONLY_CODE),
    "sources: has rows": ("sources", lambda t: t.iloc[:0]),
    "sources: kept_documents is at least 1": ("sources", lambda t: t.assign(kept_documents=0)),
    "sources: refused_share is between 0 and 0.95": ("sources", lambda t: t.assign(refused_documents=49)),
    "sources: set_aside_files is 0": ("sources", lambda t: t.assign(set_aside_files=1)),
    "sources: kept, refused and duplicate documents add up to the number of documents listed": (
        "sources",
        lambda t: t.assign(duplicate_documents=1),
    ),
    "loss budgets: the share of documents removed as duplicates is within the source's budget": (
        "sources",
        lambda t: t.assign(duplicate_documents=48),
    ),
    "loss budgets: the share of bytes lost to duplicates and repeated passages is within the source's budget": (
        "sources",
        lambda t: t.assign(duplicate_bytes=t["bytes"]),
    ),
    "clusters: share is between 0 and 0.25": ("clusters", lambda t: t.assign(share=0.3)),
    "audit: the similarity of each sampled removal, measured again, reaches the threshold": (
        "audit",
        lambda t: t.assign(counted=0.7, similar=False),
    ),
    "removal precision: lower_end is at least 0.98, or every sampled removal is correct": (
        "precision",
        lambda t: t.assign(low=0.95, precision=0.99),
    ),
    "left out: at most 50 % of a source is left out": (Omissions.NAME, mostly_omitted),
    "quality: has rows": ("quality", lambda t: t.iloc[:0]),
    "quality: refused_share is between 0 and 0.3": ("quality", lambda t: t.assign(refused_documents=20)),
    "quality: refused_bytes_share is between 0 and 1": ("quality", lambda t: t.assign(refused_bytes=60_000)),
    "quality: auc is between 0.6 and 1": ("quality", lambda t: t.assign(auc=0.5)),
}


@pytest.mark.long
def test_a_good_artifact_passes(corpus: Path, output: Path) -> None:
    report = check(LIMITS, artifact=corpus, output=output)
    assert [expectation.name for expectation in report.expectations if not expectation.passed] == []
    assert report.passed
    assert (output / report.report).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_expectation_has_data_that_breaks_it(corpus: Path, output: Path) -> None:
    report = check(LIMITS, artifact=corpus, output=output)
    assert [expectation.name for expectation in report.expectations] == list(BREAKS)


@pytest.mark.long
@pytest.mark.parametrize("broken", BREAKS)
def test_a_broken_expectation_is_named(broken: str, corpus: Path, output: Path, spoil: Any) -> None:
    name, change = BREAKS[broken]
    spoil(corpus, name, change)
    report = check(LIMITS, artifact=corpus, output=output)
    assert broken in [expectation.name for expectation in report.expectations if not expectation.passed]


def test_the_observed_value_names_the_domain_that_is_starved(corpus: Path, output: Path, spoil: Any) -> None:
    shares = {"code": 0.5, "maths": 0.1, "prose": 0.4}
    Mixture(shares=shares, epoch_limits=dict.fromkeys(shares, 4.0)).write(corpus)
    report = check(LIMITS, artifact=corpus, output=output)
    observed = {expectation.name: expectation.observed for expectation in report.failures}
    assert observed["domains: share is between 0.001 and 0.98"] == "1 of 3 rows: domain maths, share 0"


def test_a_corpus_of_one_domain_passes(corpus: Path, output: Path, spoil: Any) -> None:
    for name in ("documents", "sources"):
        spoil(corpus, name, lambda t: t.assign(domain="code"))
    spoil(corpus, "mixture.json", lambda mixture: ONLY_CODE)
    assert check(LIMITS, artifact=corpus, output=output).passed


def test_counts_that_disagree_with_the_documents_are_found(corpus: Path, output: Path, spoil: Any) -> None:
    spoil(corpus, "sources", lambda t: t.assign(documents=60, refused_documents=15))
    report = check(LIMITS, artifact=corpus, output=output)
    assert [expectation.name for expectation in report.failures] == [
        "sources: kept, refused and duplicate documents add up to the number of documents listed"
    ]


def test_a_source_that_loses_more_than_its_budget_is_named_with_its_largest_clusters(
    corpus: Path, output: Path, spoil: Any
) -> None:
    spoil(corpus, "sources", lambda t: t.assign(duplicate_documents=[48, 0]))
    report = check(LIMITS, artifact=corpus, output=output)
    (failure,) = [
        expectation for expectation in report.failures if expectation.name.startswith("loss budgets: the share of documents")
    ]
    assert all(words in failure.observed for words in ("folder:a", "domain code", "budget 0.9", "2 similar to 000000000000"))


@pytest.mark.parametrize(("replaced", "passes"), [(19, True), (20, False)])
def test_a_cluster_is_judged_where_it_is_more_than_a_few_documents(
    replaced: int, passes: bool, corpus: Path, output: Path, spoil: Any
) -> None:
    spoil(corpus, "clusters", lambda t: t.assign(documents=replaced, share=0.3))
    passed = {
        expectation.name: expectation.passed
        for expectation in check(CorpusLimits(min_validation_documents=5), artifact=corpus, output=output).expectations
    }
    assert passed["clusters: share is between 0 and 0.25"] == passes


def test_a_small_source_that_loses_nearly_all_stops_the_run(corpus: Path, output: Path, spoil: Any) -> None:
    few = {"documents": 11, "kept_documents": 1, "refused_documents": 0, "duplicate_documents": 10}
    spoil(corpus, "sources", lambda t: t.assign(**few))
    report = check(CorpusLimits(min_validation_documents=5), artifact=corpus, output=output)
    assert any(expectation.name.startswith("loss budgets: the share of documents") for expectation in report.failures)


def test_a_source_may_have_a_budget_of_its_own_also_beside_another_domain_of_its_place(
    corpus: Path, output: Path, spoil: Any
) -> None:
    for name in ("documents", "sources", "clusters", "passages"):
        spoil(corpus, name, lambda t: t.assign(source="python-environment:"))
    spoil(corpus, "sources", lambda t: t.assign(refused_documents=[2, 2], duplicate_documents=[3, 3]))
    for named in ([], ["prose"], ["code"]):
        shares = {f"python-environment: ({domain})": 0.05 for domain in named}
        limits = CorpusLimits(min_validation_documents=5, min_cluster_documents=2, max_duplicate_share_by_source=shares)
        failures = [
            expectation
            for expectation in check(limits, artifact=corpus, output=output).failures
            if expectation.name.startswith("loss budgets")
        ]
        assert [
            domain for domain in ("code", "prose") for expectation in failures if f"domain {domain}" in expectation.observed
        ] == named


def test_a_budget_of_a_source_that_is_not_there_is_refused_with_those_that_are(corpus: Path, output: Path) -> None:
    limits = CorpusLimits(max_duplicate_share_by_source={"folder:a (prose)": 0.5})
    allowed = r"sources of the corpus: folder:a \(code\), folder:b \(prose\)"
    with pytest.raises(ConfigError, match=rf"max_duplicate_share_by_source is .*; allowed: {allowed}"):
        check(limits, artifact=corpus, output=output)


def test_a_small_sample_passes_if_every_removal_in_it_is_right_and_not_otherwise(corpus: Path, output: Path, spoil: Any) -> None:
    small = {"removals": 5_000, "sampled": 100}
    spoil(corpus, "precision", lambda t: t.assign(**small, similar=100, precision=1.0, low=interval(100, 100, 5_000)[0]))
    assert check(LIMITS, artifact=corpus, output=output).passed
    spoil(corpus, "precision", lambda t: t.assign(**small, similar=99, precision=0.99, low=interval(99, 100, 5_000)[0]))
    (failure,) = check(LIMITS, artifact=corpus, output=output).failures
    assert "precision 0.99" in failure.observed


def test_a_quality_score_that_is_hardly_one_is_a_warning(corpus: Path, output: Path, spoil: Any) -> None:
    spoil(corpus, "quality", lambda t: t.assign(auc=0.5))
    report = check(LIMITS, artifact=corpus, output=output)
    assert report.passed
    (warning,) = [expectation for expectation in report.expectations if not expectation.passed]
    assert (warning.name, warning.critical) == ("quality: auc is between 0.6 and 1", False)


def test_a_corpus_without_a_quality_score_passes(corpus: Path, output: Path) -> None:
    (corpus / "metrics/quality.parquet").unlink()
    assert check(LIMITS, artifact=corpus, output=output).passed


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
