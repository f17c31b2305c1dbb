"""Starts Flyte's runtime in a step's pod, saves its output, and exits with the step's exit code.

    _F_EXEC_WRAPPER="python -m infra.pod.watch"   (flyte._bin.runtime of Flyte 2.12: `a0` starts itself under this wrapper)

It is a separate process because logs matter most when the step's process can no longer save them: after a segmentation fault, an
out-of-memory kill or a signal. In a step with a Ray cluster it is the job's entrypoint, so its exit code is the job's.

Nothing here may fail a step: if logs cannot be saved, a line in the output says why.
"""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from components.errors import single_line
from infra.cluster.process_profile import profile_of_process
from infra.pod.end import ENDED
from infra.process_end import run_and_leave
from infra.ray import logs as ray_logs
from infra.run_logs import STEP_LOG, RunLogs, Shortened, worker_log
from infra.variables import RETRY_VARIABLE, environment_with, set_variable, variable

POLL_SECONDS = 0.1
"""Seconds between two checks whether the process has finished its work."""

PUT_SECONDS = 60.0
"""Seconds between two uploads of a growing log, so that a pod that is killed leaves one."""

END_SECONDS = 30.0
"""Seconds that a process may take to exit after its work is done; then it is killed."""

STORE_SECONDS = "10"
"""Seconds for which requests to a store that does not answer are retried, before logs are given up."""


@dataclass
class Watch:
    """Runs a command and saves everything that it prints."""

    command: Sequence[str]
    put: Callable[[str, bytes], None]
    """Saves a log under a name."""
    ray: Callable[[], dict[str, bytes]]
    """Returns the logs of Ray and its workers, by name."""
    printed: Shortened = field(default_factory=Shortened)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _put_size: int = 0

    def run(self) -> int:
        """Run the command and return its exit code; if a signal ended it after its work was done, the code that it had
        reported."""
        with tempfile.TemporaryDirectory(prefix="longrun-") as directory:
            ended = Path(directory) / "status"
            child, reader = self._started(ended)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, _: self._stop(child, number))
            self._wait(child, ended)
            # processes that the command started may keep the pipe open
            reader.join(1.0)
            status = self._status(child.returncode, ended)
            self._keep_own()
            self._trying(self._keep_ray)
        return status

    def _started(self, ended: Path) -> "tuple[subprocess.Popen[bytes], threading.Thread]":
        """Start the command; returns its process, and the thread that reads its output."""
        source, target = os.pipe()
        child = subprocess.Popen(self.command, stdout=target, stderr=target, env=environment_with(ENDED, str(ended)))
        os.close(target)
        # only for this process: the command was started with its own environment
        set_variable(RETRY_VARIABLE, STORE_SECONDS)
        reader = threading.Thread(target=self._read, args=(source,), daemon=True)
        reader.start()
        return child, reader

    def _read(self, source: int) -> None:
        with open(source, "rb", buffering=0) as stream:
            while data := stream.read(2**16):
                self.printed.add(data)
                self._write(data)

    @staticmethod
    def _write(data: bytes) -> None:
        with suppress(OSError):
            while data:
                data = data[os.write(1, data) :]

    def _stop(self, child: "subprocess.Popen[bytes]", number: int) -> None:
        child.send_signal(number)
        self._stopped.set()

    def _wait(self, child: "subprocess.Popen[bytes]", ended: Path) -> None:
        last_put, deadline = time.monotonic(), float("inf")
        while child.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(POLL_SECONDS)
            now = time.monotonic()
            if self._stopped.is_set() or now - last_put > PUT_SECONDS:
                self._stopped.clear()
                self._keep_own()
                last_put = now
            deadline = min(deadline, now + END_SECONDS) if ended.exists() else deadline
            if now > deadline:
                child.kill()

    def _status(self, returncode: int, ended: Path) -> int:
        if returncode >= 0:
            return returncode
        if not ended.exists():
            return 128 - returncode
        reported = int(ended.read_text())
        self._say(f"signal {-returncode} ended the process after its work was done; its exit code {reported} counts")
        return reported

    def _keep_ray(self) -> None:
        for name, data in self.ray().items():
            self.put(name, data)

    def _keep_own(self) -> None:
        if self.printed.size != self._put_size:
            self._put_size = self.printed.size
            self._trying(lambda: self.put(STEP_LOG, self.printed.data()))

    def _trying(self, keep: Callable[[], object]) -> None:
        try:
            keep()
        except Exception as error:  # noqa: BLE001 - saving logs must not fail a step
            self._say(f"logs could not be saved: {type(error).__name__}: {single_line(error)}")

    def _say(self, text: str) -> None:
        line = f"longrun: {text}\n".encode()
        self.printed.add(line)
        self._write(line)


def watch(command: Sequence[str]) -> int:
    """Run Flyte's runtime as `command`, saving its logs; returns its exit code."""
    run, step = run_of(command), step_of(command)

    def put(name: str, data: bytes) -> None:
        profile = profile_of_process()
        if profile and run and step:
            RunLogs(profile.artifact_root, Path()).put(run, step, name, data)

    def ray() -> dict[str, bytes]:
        directory, address = ray_logs.default_directory(), variable("RAY_ADDRESS")
        workers = ray_logs.worker_logs(directory)
        if address and (profile := profile_of_process()) and profile.workers > 0:
            workers += ray_logs.worker_logs_of_other_nodes(address)
        named = {worker_log(number): data for number, data in ray_logs.logs_by_number(workers).items()}
        return named | {f"head/{name}": data for name, data in ray_logs.ray_logs(directory).items()}

    return Watch(command, put, ray).run()


def run_of(command: Sequence[str]) -> str:
    """The run's id in a command of Flyte's runtime; empty if it has none."""
    return _after(command, "--run-name") or variable("RUN_NAME") or ""


def step_of(command: Sequence[str]) -> str:
    """The step's name in a command of Flyte's runtime: the name of the task's function; empty if it has none."""
    return _after(command, "instance") or variable("ACTION_NAME") or ""


def _after(command: Sequence[str], word: str) -> str:
    following = [value for name, value in itertools.pairwise(command) if name == word]
    return following[-1] if following and "{{" not in following[-1] else ""


if __name__ == "__main__":
    run_and_leave(lambda: watch(sys.argv[1:]))
