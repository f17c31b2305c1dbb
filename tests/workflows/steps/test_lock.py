"""The locks of a home, held by two processes."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.locks import is_held
from workflows.steps.journal import Event, Journal, listening, open_journal
from workflows.steps.lock import (
    alone,
    delete_unused,
    deleting,
    is_running,
    lock_of,
    making,
    recording,
    running,
    using,
    wait_for_maker,
)
from workflows.steps.run import Run

OTHER = """
import sys
from pathlib import Path
from workflows.steps.journal import Journal
from workflows.steps.lock import alone, deleting, making, recording, running, using
from workflows.steps.run import Run
home = Path(sys.argv[1])
run = Run(home=str(home), directory=str(home / "runs" / "other"), tracking_uri="", mlflow_run="")
run.journal.directory.mkdir(parents=True, exist_ok=True)
blocks = {
    "alone": lambda: alone(home, "resume-proof"),
    "deleting": lambda: deleting(home),
    "making": lambda: making(run, "sft", "key"),
    "recording": lambda: recording(home),
    "running": lambda: running(run.journal, home),
    "using": lambda: using(home / "scratch" / "curation-index" / "code"),
}
with blocks[sys.argv[2]]():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(home: Path, block: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process inside one of the blocks of `OTHER`."""
    command = [sys.executable, "-c", OTHER, str(home), block]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(home=str(tmp_path), directory=str(open_journal(tmp_path / "runs").directory), tracking_uri="", mlflow_run="")


def test_a_run_is_running_until_its_process_ends_however_it_ends(tmp_path: Path) -> None:
    with another_process(tmp_path, "running") as process:
        other = Journal(tmp_path / "runs" / "other")
        assert is_running(other)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_running(other)
    with running(other, tmp_path):
        assert is_running(other)
    assert not is_running(other)


def test_a_step_that_another_process_makes_is_waited_for_and_the_journal_says_for_whom(run: Run, tmp_path: Path) -> None:
    with another_process(tmp_path, "making") as process:
        assert process.stdin is not None
        with making(run, "sft", "key") as mine:
            assert not mine
        with making(run, "sft", "another key") as mine:
            assert mine
        with listening(lambda _: process.stdin.close()):  # type: ignore[union-attr]
            asyncio.run(wait_for_maker(run, "sft", "key"))
        with making(run, "sft", "key") as mine:
            assert mine
    (event,) = run.journal.events()
    assert (event["event"], event["step"]) == ("waiting", "sft")
    assert event["why"].startswith(f"process {process.pid} (other, since ")
    assert "is making sft; this run continues when that is done (Ctrl-C to give up)" in event["why"]


@pytest.mark.parametrize("block", ["recording", "making", "running"])
def test_runs_record_at_the_same_time(tmp_path: Path, block: str) -> None:
    events: list[Event] = []
    with another_process(tmp_path, block), listening(events.append), recording(tmp_path):
        assert events == []


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("deleting", recording, "(gc, since "),
        ("recording", deleting, "a run is publishing an artifact"),
        ("alone", lambda home: alone(home, "resume-proof"), "(resume-proof, since "),
    ],
)
def test_who_deletes_and_who_records_wait_for_each_other(tmp_path: Path, first: str, second: object, said: str) -> None:
    with another_process(tmp_path, first) as process:
        events: list[Event] = []

        def release(event: Event) -> None:
            events.append(event)
            process.stdin.close()  # type: ignore[union-attr]

        with listening(release), second(tmp_path):  # type: ignore[operator]
            assert process.wait() == 0
    (event,) = events
    assert event["event"] == "waiting"
    assert said in event["why"]


def test_a_process_that_makes_a_step_does_not_keep_gc_waiting(tmp_path: Path) -> None:
    events: list[Event] = []
    with another_process(tmp_path, "making"), listening(events.append), deleting(tmp_path):
        assert is_held(lock_of(tmp_path / "scratch" / "sft" / "key"))
    assert events == []


def test_an_index_is_deleted_when_no_run_uses_it(tmp_path: Path) -> None:
    index = tmp_path / "scratch" / "curation-index" / "code"
    (index / "shards").mkdir(parents=True)
    with another_process(tmp_path, "using") as process, using(index):
        waiting = threading.Event()
        with listening(lambda _: waiting.set()):
            deletion = threading.Thread(target=delete_unused, args=(index,))
            deletion.start()
            assert waiting.wait(60)
            assert index.exists()
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()
        assert index.exists()
    deletion.join()
    assert not index.exists()


def test_a_failure_inside_releases_the_lock(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), making(run, "sft", "key"), recording(tmp_path):
        raise RuntimeError
    assert not is_held(lock_of(run.store.scratch("sft", "key")))
    assert not is_held(tmp_path / "lock")
