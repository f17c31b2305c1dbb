"""Retries: what is asked again, how long, what is logged, and what is not done twice."""

import logging

import pytest

from components.errors import StoreError
from infra import retry as retries
from infra.retry import TransientError, retry


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.001)


class Service:
    """Fails a number of times, then answers; what it was asked is counted."""

    def __init__(self, failures: int) -> None:
        self.failures, self.asked, self.done = failures, 0, 0

    def create(self) -> int:
        self.asked += 1
        if self.asked <= self.failures:
            raise TransientError("connection refused")
        self.done += 1
        return self.done

    def lost_create(self) -> int:
        """Done, but the answer is lost."""
        self.asked += 1
        self.done += 1
        raise TransientError("connection reset")

    def find(self) -> int | None:
        return self.done or None


def test_a_service_that_comes_back_is_asked_again_and_both_are_said(caplog: pytest.LogCaptureFixture) -> None:
    service = Service(3)
    with caplog.at_level(logging.WARNING):
        assert retry("store s3://b", service.create, StoreError) == 1
    assert service.asked == 4
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("store s3://b does not answer (connection refused); retrying for another 300 s")
    assert last.startswith("store s3://b answers again after")


def test_a_service_that_answers_at_once_is_asked_once_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    service = Service(0)
    assert retry("store", service.create, StoreError) == 1
    assert service.asked == 1
    assert caplog.records == []


def test_what_was_done_although_the_answer_was_lost_is_found_and_not_done_again() -> None:
    service = Service(0)
    assert retry("store", service.lost_create, StoreError, recover=service.find) == 1
    assert service.done == 1


def test_what_was_not_done_is_done_after_looking() -> None:
    service = Service(1)
    assert retry("store", service.create, StoreError, recover=service.find) == 1
    assert service.asked == 2


def test_looking_may_fail_like_asking() -> None:
    service, looks = Service(0), Service(2)

    def find() -> int | None:
        looks.create()
        return service.find()

    assert retry("store", service.lost_create, StoreError, recover=find) == 1
    assert (service.done, looks.asked) == (1, 3)


def test_the_retries_end_with_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGRUN_PATIENCE", "0.01")
    with pytest.raises(StoreError, match=r"^store did not answer for 0 s \(connection refused\); run the same command again"):
        retry("store", Service(10**6).create, StoreError)


def test_what_is_not_transient_is_raised_at_once() -> None:
    def refuse() -> int:
        raise StoreError("no such bucket")

    with pytest.raises(StoreError, match=r"^no such bucket$"):
        retry("store", refuse, StoreError)
