"""The mailbox between training workers and the driver."""

import asyncio

from components.errors import CheckpointError
from infra.ray.mailbox import Assignment, Mailbox, WorkerRank

SINGLE = WorkerRank("start", 0, 1)
FIRST, SECOND = WorkerRank("start", 0, 2), WorkerRank("start", 1, 2)


def test_a_worker_waits_until_there_is_something_to_do_and_gets_it_once() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(2)
        await mailbox.join(SINGLE, None)
        waiting = asyncio.create_task(mailbox.assignment(after=0))
        await asyncio.sleep(0)
        assert not waiting.done()
        await mailbox.assign(1, b"first")
        assert await waiting == Assignment(1, b"first")
        await mailbox.leave(SINGLE, b"done", 1.0)
        waiting = asyncio.create_task(mailbox.assignment(after=1))
        await mailbox.assign(2, b"second")
        assert await waiting == Assignment(2, b"second")

    asyncio.run(scenario())


def test_a_worker_started_again_takes_part_in_what_is_not_finished_and_in_nothing_else() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(2)
        await mailbox.join(FIRST, None)
        await mailbox.assign(1, b"first")
        await mailbox.leave(SECOND, b"b", 1.0)
        assert await mailbox.assignment(after=0) == Assignment(1, b"first")
        await mailbox.leave(FIRST, b"a", 2.0)
        again = asyncio.create_task(mailbox.assignment(after=0))
        await asyncio.sleep(0)
        assert not again.done()
        await mailbox.dismiss()
        assert await again is None

    asyncio.run(scenario())


def test_reports_are_taken_once_and_in_order_and_end_with_their_assignment() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(2)
        await mailbox.join(SINGLE, None)
        await mailbox.report(SINGLE, [(1, 2, {"loss": 2.0})])
        await mailbox.report(SINGLE, [(2, 2, {"loss": 1.0})])
        assert await mailbox.take_reports() == [(1, 2, {"loss": 2.0}), (2, 2, {"loss": 1.0})]
        assert await mailbox.take_reports() == []

    asyncio.run(scenario())


def test_the_work_lasts_from_the_first_to_enter_to_the_last_to_leave() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(2)
        await mailbox.join(FIRST, None)
        await mailbox.assign(1, b"")
        await mailbox.enter(FIRST, 10.0)
        await mailbox.enter(SECOND, 11.0)
        await mailbox.leave(SECOND, b"b", 12.0)
        assert not await mailbox.is_finished()
        await mailbox.leave(FIRST, b"a", 13.0)
        assert await mailbox.is_finished()
        outcome = await mailbox.outcome()
        assert (outcome.entered, outcome.ended, outcome.groups) == (10.0, 13.0, {"start"})
        assert outcome.results == {0: b"a", 1: b"b"}

    asyncio.run(scenario())


def test_after_a_failure_nobody_gets_the_assignment_again_and_the_first_reason_stays() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(2)
        await mailbox.join(FIRST, None)
        await mailbox.assign(1, b"")
        await mailbox.fail(FIRST, CheckpointError("first"), 1.0)
        await mailbox.fail(SECOND, CheckpointError("second"), 2.0)
        assert await mailbox.is_finished()
        assert str((await mailbox.outcome()).error) == "first"
        again = asyncio.create_task(mailbox.assignment(after=0))
        await mailbox.assign(2, b"next")
        assert await again == Assignment(2, b"next")

    asyncio.run(scenario())


def test_fewer_workers_after_a_loss_are_all_that_is_waited_for_and_nobody_hears_those_before() -> None:
    async def scenario() -> None:
        mailbox, alone = Mailbox(2), WorkerRank("again", 0, 1)
        await mailbox.join(FIRST, "lost")
        await mailbox.join(SECOND, "lost")
        await mailbox.assign(1, b"")
        await mailbox.enter(FIRST, 1.0)
        await mailbox.leave(SECOND, b"old", 2.0)
        await mailbox.join(alone, "kept")
        await mailbox.enter(alone, 3.0)
        await mailbox.join(SECOND, "lost")
        await mailbox.report(FIRST, [(7, 9, {})])
        await mailbox.fail(FIRST, CheckpointError("attempt 2 writes checkpoints now"), 4.0)
        await mailbox.leave(SECOND, b"old", 4.0)
        assert not await mailbox.is_finished()
        await mailbox.leave(alone, b"new", 5.0)
        assert await mailbox.is_finished()
        outcome = await mailbox.outcome()
        assert (outcome.error, outcome.results, outcome.workers, len(outcome.groups)) == (None, {0: b"new"}, 1, 2)
        assert await mailbox.take_reports() == []
        assert await mailbox.placement_groups() == ["lost", "kept"]

    asyncio.run(scenario())


def test_workers_started_anew_between_assignments_do_not_undo_the_last_one() -> None:
    async def scenario() -> None:
        mailbox, more = Mailbox(2), WorkerRank("more", 1, 2)
        await mailbox.join(SINGLE, None)
        await mailbox.assign(1, b"")
        await mailbox.leave(SINGLE, b"a", 1.0)
        await mailbox.join(more, None)
        assert await mailbox.is_finished()
        assert (await mailbox.outcome()).results == {0: b"a"}
        await mailbox.assign(2, b"")
        assert (await mailbox.outcome()).workers == 2

    asyncio.run(scenario())


def test_losses_end_an_assignment_only_if_no_step_beyond_the_furthest_was_done_in_between() -> None:
    async def scenario() -> None:
        mailbox, starts = Mailbox(2), [WorkerRank(f"start-{number}", 0, 1) for number in range(9)]
        await mailbox.assign(1, b"")
        for number, worker in enumerate(starts[:6]):
            await mailbox.join(worker, None)
            await mailbox.report(worker, [(number, 9, {}), (number + 1, 9, {})])
        await mailbox.crash(starts[5], "ValueError: a bug")
        for worker in starts[6:8]:
            await mailbox.join(worker, None)
            await mailbox.report(worker, [(6, 9, {})])
            assert not await mailbox.is_finished()
        await mailbox.join(starts[8], None)
        assert await mailbox.is_finished()
        outcome = await mailbox.outcome()
        assert outcome.lost
        assert str(outcome.error) == "training workers failed 3 times without completing another step: ValueError: a bug"

    asyncio.run(scenario())


def test_losses_of_one_assignment_do_not_count_in_the_next() -> None:
    async def scenario() -> None:
        mailbox, again = Mailbox(1), WorkerRank("again", 0, 1)
        await mailbox.join(SINGLE, None)
        await mailbox.assign(1, b"")
        await mailbox.join(again, None)
        await mailbox.leave(again, b"a", 1.0)
        await mailbox.assign(2, b"")
        await mailbox.join(WorkerRank("once more", 0, 1), None)
        assert not await mailbox.is_finished()

    asyncio.run(scenario())


def test_a_wanted_checkpoint_is_told_once_and_only_to_the_workers_of_now() -> None:
    async def scenario() -> None:
        mailbox = Mailbox(2)
        await mailbox.join(SINGLE, None)
        assert not await mailbox.report(SINGLE, [(1, 3, {})])
        await mailbox.want_checkpoint()
        assert not await mailbox.report(WorkerRank("earlier", 0, 1), [(1, 3, {})])
        assert await mailbox.report(SINGLE, [(2, 3, {})])
        assert not await mailbox.report(SINGLE, [(3, 3, {})])

    asyncio.run(scenario())
