"""The documents that would be held out are those that the split of curation chooses."""

from components.checks.limits import CheckLimits, CorpusLimits, EvaluationLimits
from components.curation.corpus.config import CorpusConfig
from workflows.preflight.held_out import Kept, short_domain, small_domain

LIMITS = CheckLimits(corpus=CorpusLimits(min_validation_documents=10), evaluation=EvaluationLimits(min_documents_per_domain=10))


def kept(count: int, size: int) -> set[Kept]:
    return {Kept(number * 0x9E37_79B9_7F4A_7C15 % 2**64, size) for number in range(1, count + 1)}


def small_in(documents: set[Kept], share: float, *, is_evaluated: bool = True) -> list[str]:
    config = CorpusConfig(validation_share=share)
    return [str(each) for each in small_domain("web", documents, config, LIMITS, seed=0, is_evaluated=is_evaluated)]


def test_enough_documents_of_enough_bytes_are_no_problem() -> None:
    assert small_in(kept(1000, 2000), 0.02) == []
    assert list(short_domain("web", kept(3, 500) | kept(1, 1000))) == []


def test_too_few_held_out_documents_break_the_limits_of_both_checks() -> None:
    assert len(small_in(kept(1000, 2000), 0.002)) == 2
    assert len(small_in(kept(1000, 2000), 0.002, is_evaluated=False)) == 1


def test_a_few_less_than_the_limit_may_be_near_duplicates_and_are_left_to_the_check() -> None:
    assert small_in(kept(1000, 2000), 0.009) == []


def test_short_documents_count_only_for_curation() -> None:
    (problem,) = small_in(kept(1000, 900), 0.1)
    assert "about 0 of its 1000 documents would be held out of at least 1000 bytes" in problem
    assert len(list(short_domain("web", kept(1000, 900)))) == 1
