"""The mailbox between training workers and the driver."""

import asyncio

from components.errors import CheckpointError
from infra.ray_mailbox import Assignment, Mailbox


def test_a_worker_waits_until_there_is_something_to_do_and_gets_it_once() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(1)
        waiting = asyncio.create_task(mailbox.assignment(after=0))
        await asyncio.sleep(0)
        assert not waiting.done()
        await mailbox.assign(1, b"first")
        assert await waiting == Assignment(1, b"first")
        await mailbox.leave(0, b"done", 1.0)
        waiting = asyncio.create_task(mailbox.assignment(after=1))
        await mailbox.assign(2, b"second")
        assert await waiting == Assignment(2, b"second")

    asyncio.run(scenario())


def test_a_worker_started_again_takes_part_in_what_is_not_finished_and_in_nothing_else() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(2)
        await mailbox.assign(1, b"first")
        await mailbox.leave(1, b"b", 1.0)
        assert await mailbox.assignment(after=0) == Assignment(1, b"first")
        await mailbox.leave(0, b"a", 2.0)
        again = asyncio.create_task(mailbox.assignment(after=0))
        await asyncio.sleep(0)
        assert not again.done()
        await mailbox.dismiss()
        assert await again is None

    asyncio.run(scenario())


def test_reports_are_taken_once_and_in_order_and_end_with_their_assignment() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(1)
        await mailbox.report(1, 2, {"loss": 2.0})
        await mailbox.report(2, 2, {"loss": 1.0})
        assert await mailbox.take_reports() == [(1, 2, {"loss": 2.0}), (2, 2, {"loss": 1.0})]
        assert await mailbox.take_reports() == []

    asyncio.run(scenario())


def test_the_work_lasts_from_the_first_to_enter_to_the_last_to_leave() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(2)
        await mailbox.assign(1, b"")
        await mailbox.enter(10.0)
        await mailbox.enter(11.0)
        await mailbox.leave(1, b"b", 12.0)
        assert not await mailbox.is_finished()
        await mailbox.leave(0, b"a", 13.0)
        assert await mailbox.is_finished()
        outcome = await mailbox.outcome()
        assert (outcome.entered, outcome.left, outcome.entries) == (10.0, 13.0, 2)
        assert outcome.results == {0: b"a", 1: b"b"}

    asyncio.run(scenario())


def test_after_a_failure_nobody_gets_the_assignment_again_and_the_first_reason_stays() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(2)
        await mailbox.assign(1, b"")
        await mailbox.fail(CheckpointError("first"), 1.0)
        await mailbox.fail(CheckpointError("second"), 2.0)
        assert await mailbox.is_finished()
        assert str((await mailbox.outcome()).error) == "first"
        again = asyncio.create_task(mailbox.assignment(after=0))
        await mailbox.assign(2, b"next")
        assert await again == Assignment(2, b"next")

    asyncio.run(scenario())
