"""The mailbox between training workers and the driver."""

from components.errors import CheckpointError
from infra.ray_mailbox import Mailbox


def test_reports_are_taken_once_and_in_order() -> None:
    mailbox = Mailbox()
    mailbox.report(1, 2, {"loss": 2.0})
    mailbox.report(2, 2, {"loss": 1.0})
    assert mailbox.take_reports() == [(1, 2, {"loss": 2.0}), (2, 2, {"loss": 1.0})]
    assert mailbox.take_reports() == []


def test_the_work_lasts_from_the_first_to_enter_to_the_last_to_leave() -> None:
    mailbox = Mailbox()
    assert mailbox.enter(10.0)
    assert mailbox.enter(11.0)
    mailbox.leave(1, "b", 12.0)
    mailbox.leave(0, "a", 13.0)
    outcome = mailbox.outcome()
    assert (outcome.entered, outcome.left, outcome.results) == (10.0, 13.0, {0: "a", 1: "b"})


def test_after_a_failure_for_good_nobody_enters_and_the_first_reason_stays() -> None:
    mailbox = Mailbox()
    mailbox.fail(CheckpointError("first"), 1.0)
    mailbox.fail(CheckpointError("second"), 2.0)
    assert not mailbox.enter(3.0)
    assert str(mailbox.outcome().error) == "first"
