"""The lock of a home, held by two processes."""

import subprocess
import sys
import threading
import time
from pathlib import Path

from workflows.steps.journal import Event, listening
from workflows.steps.lock import holding

HOLDER = """
import sys
from pathlib import Path
from workflows.steps.lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_says_who_holds_the_lock_and_waits_until_it_is_released(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        events: list[Event] = []

        def release(event: Event) -> None:
            events.append(event)
            threading.Timer(0.1, holder.stdin.close).start()  # type: ignore[union-attr]

        started = time.monotonic()
        with listening(release), holding(tmp_path):
            assert time.monotonic() - started > 0.1
    (event,) = events
    assert event["event"] == "waiting"
    assert f"process {holder.pid} (since " in event["why"]
    assert f"is using {tmp_path}" in event["why"]


def test_a_failure_inside_releases_the_lock(tmp_path: Path) -> None:
    try:
        with holding(tmp_path):
            assert (tmp_path / "lock.holder").is_file()
            raise RuntimeError
    except RuntimeError:
        pass
    events: list[Event] = []
    with listening(events.append), holding(tmp_path):
        assert events == []
    assert not (tmp_path / "lock.holder").exists()
