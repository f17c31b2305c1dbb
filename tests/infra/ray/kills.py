"""A training that kills a process at a given step: a worker, the trainer's controller, or everything that its driver started."""

import contextlib
import hashlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from components.ports import SilentMetrics, TrainingReporter
from tests.infra.ray.reporters import ForwardingReporter

INTERVAL = 4
"""Steps between two checkpoints."""

STEPS = 24
KINDS = ("worker", "controller", "tree")


@dataclass(frozen=True)
class Kill:
    """What is killed, and when."""

    kind: str
    step: int
    rank: int
    """The worker that does it, after that step."""
    waits: bool = True
    """Whether it lets the checkpoint that is due by then be published first."""

    @property
    def due(self) -> int:
        """The step of that checkpoint."""
        return self.step - self.step % INTERVAL


@dataclass(frozen=True)
class Training:
    """A training of the small model by two workers."""

    directory: Path
    kill: Kill | None
    driver: int
    """Process id."""


@dataclass(frozen=True)
class KillingReporter(ForwardingReporter):
    """A reporter that kills once."""

    training: Training

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Pass it on, and kill if it is time."""
        super().report(step, total_steps, values)
        kill, done = self.training.kill, self.training.directory / "killed"
        if kill is None or done.exists() or (kill.step, kill.rank) != (step, self.rank):
            return
        while kill.waits and _published(self.training.directory) < kill.due:
            time.sleep(0.01)
        done.touch()
        for pid in _targets(kill.kind, self.training.driver):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _published(directory: Path) -> int:
    """The step of the newest checkpoint; 0: there is none."""
    latest = directory / "checkpoints" / "latest"
    return int(latest.readlink().name.removeprefix("step-")) if latest.is_symlink() else 0


def _targets(kind: str, driver: int) -> list[int]:
    """Process ids, this one last."""
    if kind == "worker":
        return [os.getpid()]
    below = psutil.Process(driver).children(recursive=True)
    if kind == "controller":
        controllers = [process.pid for process in below if "TrainController" in _title(process)]
        if not controllers:
            raise LookupError("no controller of Ray Train")
        return controllers
    return [driver, *(process.pid for process in below if process.pid != os.getpid()), os.getpid()]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""  # it has ended meanwhile


def work(training: Training, reporter: TrainingReporter) -> tuple[int, str]:
    """Where the training went on from, and a digest of its weights and history."""
    from components.training.checkpoints.saving import CheckpointPlan
    from components.training.loop import TrainSpec, train
    from tests.components.training.conftest import NextToken, RepeatedPairs, settings, small_model

    model = small_model()
    trained = train(
        TrainSpec(model=model, objective=NextToken(), batches=RepeatedPairs()),
        settings(steps=STEPS, precision="bf16", checkpoint_steps=INTERVAL, deterministic=True),
        CheckpointPlan(root=training.directory / "checkpoints", identity={"model": "small"}),
        KillingReporter(reporter, training),
    )
    weights = b"".join(parameter.detach().numpy().tobytes() for parameter in model.parameters())
    return trained.resumed_from, hashlib.sha256(weights + repr(trained.history).encode()).hexdigest()


def main() -> None:
    """`python -m tests.infra.ray.kills HOME KIND STEP RANK WAITS`: train with a Ray of its own, and be killed."""
    from infra.ray.local import ensure_ray
    from infra.ray.train import RayLauncher
    from infra.variables import quieten

    quieten()
    home, kill = Path(sys.argv[1]), Kill(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "True")
    ensure_ray(home / "ray", cpus=2)
    launcher = RayLauncher(storage_path=home / "ray-train")
    launcher.launch(work, Training(home, kill, os.getpid()), workers=2, metrics=SilentMetrics())


if __name__ == "__main__":
    main()
