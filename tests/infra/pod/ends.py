"""The end of a step's process, again and again: how often each exit status came.

    python -m tests.infra.pod.ends DIRECTORY HOW TIMES

`HOW` is `abandoned` (a thread still waits in Ray, as that of a training whose workers are kept), `trained` (such a training is
behind it) or `left` (the same, and the process was prepared for its end).
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from components.ports import SilentMetrics, TrainingReporter
from infra.pod.end import ENDED, end_in_order
from infra.variables import environment_with
from tests.paths import ROOT


def work(spec: int, reporter: TrainingReporter) -> int:
    """A training of no steps."""
    return spec


def _train(directory: Path) -> None:
    from infra.ray.train import RayLauncher

    assert RayLauncher(storage_path=directory).launch(work, 3, workers=1, metrics=SilentMetrics()) == [3]


def _abandon() -> None:
    import threading

    import ray

    class Waiting:
        def wait(self) -> None:
            threading.Event().wait()

    waiting: Any = ray.remote(Waiting).options(num_cpus=0).remote()
    threading.Thread(target=lambda: ray.get(waiting.wait.remote()), daemon=True).start()


def _end(directory: Path, how: str, address: str) -> None:
    """The step's process: it connects to a Ray of others, as in a pod, works, and ends."""
    import faulthandler

    import ray

    faulthandler.enable()
    ray.init(address=address, log_to_driver=False, logging_level=40)
    if how == "left":
        end_in_order()
    _abandon() if how == "abandoned" else _train(directory)


def ends(directory: Path, how: str, times: int, address: str) -> Counter[int]:
    """How often the process ended with each status."""
    command = [sys.executable, "-m", "tests.infra.pod.ends", str(directory), how, "0", address]
    environment = environment_with(ENDED, str(directory / "status"))
    statuses: Counter[int] = Counter()
    for number in range(times):
        with (directory / f"{how}-{number}.log").open("wb") as log:
            statuses[subprocess.run(command, cwd=ROOT, check=False, stdout=log, stderr=log, env=environment).returncode] += 1
    return statuses


if __name__ == "__main__":
    folder, kind, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if count == 0:
        _end(folder, kind, sys.argv[4])
    else:
        from infra.ray.local import ensure_ray, stop_ray

        ensure_ray(folder / "home" / "ray", cpus=os.cpu_count())
        import ray

        here = ray.get_runtime_context().gcs_address
        for of in kind.split(","):
            print(of, dict(ends(folder, of, count, here)), flush=True)
        stop_ray(folder / "home" / "ray")
