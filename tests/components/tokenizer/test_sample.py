"""The byte-weighted sample."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.tokenizer import sample

TEXTS = [f"{number:03d}{'x' * (number % 5)}" for number in range(50)]
ALL_BYTES = sum(map(len, TEXTS))


def test_quotas_follow_the_shares() -> None:
    assert sample.quotas({"a": 0.75, "b": 0.25}, {"a": 1000, "b": 1000}, 400) == {"a": 300, "b": 100}


def test_what_a_small_domain_lacks_goes_to_the_others_in_proportion() -> None:
    quotas = sample.quotas({"a": 0.5, "b": 0.25, "c": 0.25}, {"a": 10, "b": 1000, "c": 1000}, 410)
    assert quotas == {"a": 10, "b": 200, "c": 200}


def test_a_domain_that_becomes_small_by_the_shift_is_exhausted_too() -> None:
    quotas = sample.quotas({"a": 0.5, "b": 0.25, "c": 0.25}, {"a": 0, "b": 120, "c": 1000}, 400)
    assert quotas == {"a": 0, "b": 120, "c": 280}


@given(
    st.dictionaries(st.sampled_from("abcde"), st.tuples(st.floats(0.01, 1), st.integers(0, 10_000)), min_size=1),
    st.integers(1, 20_000),
)
def test_quotas_use_what_there_is_and_no_more(domains: dict[str, tuple[float, int]], total: int) -> None:
    whole = sum(share for share, _ in domains.values())
    available = {domain: size for domain, (_, size) in domains.items()}
    quotas = sample.quotas({domain: share / whole for domain, (share, _) in domains.items()}, available, total)
    assert all(quotas[domain] <= available[domain] for domain in domains)
    assert sum(quotas.values()) == pytest.approx(min(total, sum(available.values())), abs=len(domains))


@pytest.fixture
def corpus(new_corpus: Any) -> Any:
    new_corpus.documents("train", "prose", TEXTS, rows_per_file=20)
    return new_corpus.directory


def drawn(corpus: Any, quota: int, seed: int = 0) -> list[str]:
    return [text for batch in sample.texts(corpus, "prose", quota, seed) for text in batch]


def test_a_sample_ends_with_the_document_that_fills_its_quota(corpus: Any) -> None:
    texts = drawn(corpus, 60)
    assert sum(map(len, texts)) >= 60
    assert sum(map(len, texts[:-1])) < 60


def test_a_sample_of_everything_holds_every_document_once(corpus: Any) -> None:
    assert sample.available_bytes(corpus, "prose") == ALL_BYTES
    assert sorted(drawn(corpus, ALL_BYTES, seed=3)) == sorted(TEXTS)
    assert sorted(drawn(corpus, 10 * ALL_BYTES, seed=3)) == sorted(TEXTS)


def test_the_seed_chooses_the_documents(corpus: Any) -> None:
    assert drawn(corpus, 60, seed=1) == drawn(corpus, 60, seed=1)
    assert len({tuple(drawn(corpus, 60, seed=seed)) for seed in range(8)}) > 4


def test_no_quota_takes_nothing(corpus: Any) -> None:
    assert drawn(corpus, 0) == []


def test_a_domain_without_files_has_no_bytes_and_no_texts(corpus: Any) -> None:
    assert sample.available_bytes(corpus, "code") == 0
    assert list(sample.texts(corpus, "code", 10, 0)) == []
