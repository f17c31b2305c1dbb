"""Locks between real processes: exclusive, shared, released at death, and with their files deleted."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.errors import HomeError
from components.locks import Lock, holding, is_held

HOLDER = """
import sys
from pathlib import Path
from components.locks import Lock
assert Lock(Path(sys.argv[1]), shared=sys.argv[2] == "shared").acquire("the other process")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process_holds(path: Path, kind: str = "exclusive") -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", HOLDER, str(path), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


def test_a_lock_that_another_process_holds_cannot_be_taken_and_says_who_holds_it(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "locks" / "name")
    with another_process_holds(lock.path):
        assert is_held(lock.path)
        assert not lock.acquire()
        assert not Lock(lock.path, shared=True).acquire()
        assert lock.holder == "the other process"


def test_a_killed_process_releases_its_lock(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    with another_process_holds(lock.path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_held(lock.path)
        assert lock.acquire("this process")
        assert lock.holder == "this process"


def test_a_shared_lock_is_shared_and_excludes_an_exclusive_one(tmp_path: Path) -> None:
    with another_process_holds(tmp_path / "lock", "shared"):
        shared = Lock(tmp_path / "lock", shared=True)
        assert shared.acquire()
        assert not Lock(tmp_path / "lock").acquire()
        shared.release()
        assert is_held(tmp_path / "lock")
    assert not is_held(tmp_path / "lock")


def test_a_released_lock_leaves_no_file_and_can_be_taken_again(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    for _ in range(2):
        assert lock.acquire()
        lock.release()
        assert not lock.path.exists()


def test_a_holder_whose_file_is_replaced_does_not_delete_the_lock_of_its_successor(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.acquire()
    (tmp_path / "lock").unlink()
    assert second.acquire()
    first.release()
    assert is_held(tmp_path / "lock")


def test_one_holder_at_a_time_though_each_deletes_the_file(tmp_path: Path) -> None:
    inside, counted = threading.Lock(), list[bool]()

    def hold_often() -> None:
        for _ in range(200):
            lock = Lock(tmp_path / "lock")
            if lock.acquire():
                counted.append(inside.acquire(blocking=False))
                inside.release()
                lock.release()

    threads = [threading.Thread(target=hold_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counted) > 4
    assert all(counted)


def test_who_waits_is_told_once_for_whom_and_goes_on_when_the_lock_is_free(tmp_path: Path) -> None:
    told: list[str] = []
    with another_process_holds(tmp_path / "lock") as process:

        def wait(holder: str) -> None:
            told.append(holder)
            process.stdin.close()  # type: ignore[union-attr]

        with holding(Lock(tmp_path / "lock"), "this process", wait):
            assert told == ["the other process"]
    with holding(Lock(tmp_path / "lock"), "this process", told.append):
        pass
    assert len(told) == 1


def test_a_directory_in_which_nothing_can_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match="file/lock cannot be locked"):
        Lock(tmp_path / "file" / "lock").acquire()
