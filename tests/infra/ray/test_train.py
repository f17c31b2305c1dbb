"""Training workers on a real local Ray."""

import hashlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from components.errors import CheckpointError, ConfigError, TrainingError
from components.ports import RecordedMetrics, TrainingReporter

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One for all, so that workers stay for the next test."""
    from infra.ray.train import RayLauncher
    from infra.ray.workers import release

    yield RayLauncher(storage_path=tmp_path_factory.mktemp("ray-train"), max_failures=1)
    release()


def described(spec: str, reporter: TrainingReporter) -> dict[str, Any]:
    """Where a worker finds itself."""
    import torch
    import torch.distributed as dist

    for step in range(1, 101):
        reporter.report(step, 100, {"rank": float(reporter.rank)})
    return {"spec": spec, "rank": reporter.rank, "group": dist.get_world_size(), "threads": torch.get_num_threads()}


def refuse(spec: str, reporter: TrainingReporter) -> None:
    """Count the attempts, and refuse on one rank."""
    with Path(spec).open("a") as stream:
        stream.write(f"{reporter.rank}\n")
    if reporter.rank == 0:
        raise CheckpointError("no such luck")


def refuse_and_wait(spec: str, reporter: TrainingReporter) -> None:
    """Refuse on one rank; the other waits for it in the process group."""
    import torch.distributed as dist

    if reporter.rank == 0:
        raise CheckpointError("no such luck")
    dist.barrier()


def process(spec: str, reporter: TrainingReporter) -> int:
    """The process that works."""
    reporter.report(1, 1, {"loss": 1.0})
    return os.getpid()


def visible_gpus(spec: str, reporter: TrainingReporter) -> str | None:
    """Those that CUDA may use."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def break_down(spec: str, reporter: TrainingReporter) -> None:
    """Fail with something that is no error of ours."""
    raise ValueError("a bug")


def die_a_step_further(spec: str, reporter: TrainingReporter) -> int:
    """Do all steps again and one more, and be killed until there are three."""
    steps = Path(spec)
    done = len(steps.read_text()) + 1 if steps.exists() else 1
    steps.write_text("." * done)
    for step in range(1, done + 1):
        reporter.report(step, 3, {"loss": 1.0})
    reporter.flush()  # type: ignore[attr-defined]
    if done < 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return done


def die_with_last_words(spec: str, reporter: TrainingReporter) -> None:
    """Say why on one rank, and die as native code does."""
    if reporter.rank == 1:
        os.write(2, b"RuntimeError: no space left on the device\n")
        os._exit(1)
    reporter.report(1, 100, {"loss": 1.0})


@dataclass(frozen=True)
class Training:
    """A training of the small model of the training tests."""

    checkpoints: Path
    killed_once: Path | None
    """Where the second rank notes that it was killed; None: it is not."""


class Fragile:
    """A reporter that kills its process after step 11, once."""

    def __init__(self, reporter: TrainingReporter, killed_once: Path | None) -> None:
        self.reporter, self.killed_once = reporter, killed_once
        self.rank, self.world_size = reporter.rank, reporter.world_size

    def report(self, step: int, total_steps: int, values: Any) -> None:
        self.reporter.report(step, total_steps, values)
        if self.killed_once is not None and self.rank == 1 and step == 11 and not self.killed_once.exists():
            self.killed_once.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def checkpoint_wanted(self) -> bool:
        return self.reporter.checkpoint_wanted()


def train_small_model(spec: Training, reporter: TrainingReporter) -> tuple[Any, int, str]:
    """The history, the step it went on from and a digest of the weights."""
    from components.training.checkpoints.saving import CheckpointPlan
    from components.training.loop import TrainSpec, train
    from tests.components.training.conftest import NextToken, RepeatedPairs, settings, small_model

    model = small_model()
    trained = train(
        TrainSpec(model=model, objective=NextToken(), batches=RepeatedPairs()),
        settings(precision="bf16"),
        CheckpointPlan(root=spec.checkpoints, identity={"model": "small"}),
        Fragile(reporter, spec.killed_once),
    )
    weights = b"".join(parameter.detach().numpy().tobytes() for parameter in model.parameters())
    return trained.history, trained.resumed_from, hashlib.sha256(weights).hexdigest()


def test_one_worker_gets_all_threads_and_its_reports_reach_the_driver_in_order(launcher: Any) -> None:
    metrics = RecordedMetrics()
    (result,) = launcher.launch(described, "spec", workers=1, metrics=metrics)
    assert result == {"spec": "spec", "rank": 0, "group": 1, "threads": 2}
    assert metrics.values == {step: {"rank": 0.0} for step in range(1, 101)}
    assert metrics.seen == [(step, 100, "steps") for step in range(1, 101)]
    assert launcher.overhead_seconds > 0


def test_workers_without_gpus_of_their_own_see_none(launcher: Any) -> None:
    import ray

    if ray.cluster_resources().get("GPU"):
        pytest.skip("here each worker has one")
    assert launcher.launch(visible_gpus, "", workers=1, metrics=RecordedMetrics()) == [""]


def test_a_refusal_comes_out_as_it_is_and_is_not_tried_again_and_the_next_launch_has_workers_of_its_own(
    launcher: Any, tmp_path: Path
) -> None:
    attempts = tmp_path / "attempts"
    (before,) = launcher.launch(process, "", workers=1, metrics=RecordedMetrics())
    with pytest.raises(CheckpointError, match=r"^no such luck$"):
        launcher.launch(refuse, str(attempts), workers=1, metrics=RecordedMetrics())
    assert attempts.read_text().splitlines() == ["0"]
    (after,) = launcher.launch(process, "", workers=1, metrics=RecordedMetrics())
    assert after != before


def test_workers_stay_for_the_next_launch_of_the_same_kind_and_leave_nothing_once_released(launcher: Any) -> None:
    from infra.ray.train import RayLauncher
    from infra.ray.workers import release

    (first,) = launcher.launch(process, "", workers=1, metrics=RecordedMetrics())
    metrics = RecordedMetrics()
    (second,) = launcher.launch(process, "", workers=1, metrics=metrics)
    single_threaded = RayLauncher(storage_path=launcher.storage_path, threads_per_worker=1)
    (another,) = single_threaded.launch(process, "", workers=1, metrics=RecordedMetrics())
    assert first == second
    assert metrics.values == {1: {"loss": 1.0}}
    assert another != first
    release()
    assert not any(launcher.storage_path.iterdir())


@pytest.mark.slow
def test_a_refusal_of_one_of_two_workers_comes_out_although_the_other_waits(launcher: Any, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^no such luck$"):
        launcher.launch(refuse_and_wait, str(tmp_path / "attempts"), workers=2, metrics=RecordedMetrics())
    assert len(launcher.launch(process, "", workers=2, metrics=RecordedMetrics())) == 2


def test_any_other_failure_is_a_training_error_with_its_reason(launcher: Any) -> None:
    with pytest.raises(TrainingError, match="ValueError: a bug"):
        replace(launcher, max_failures=0).launch(break_down, "", workers=1, metrics=RecordedMetrics())


@pytest.mark.slow
def test_workers_are_started_again_for_as_long_as_each_gets_a_step_further(launcher: Any, tmp_path: Path) -> None:
    metrics = RecordedMetrics()
    assert replace(launcher, max_failures=1).launch(die_a_step_further, str(tmp_path / "steps"), workers=1, metrics=metrics) == [
        3
    ]
    assert sorted(metrics.values) == [1, 2, 3]


@pytest.mark.slow
def test_a_bug_that_comes_again_and_again_ends_the_training_with_its_reason(launcher: Any) -> None:
    with pytest.raises(TrainingError, match="failed 2 times without completing another step: ValueError: a bug"):
        replace(launcher, max_failures=1).launch(break_down, "", workers=1, metrics=RecordedMetrics())


def test_more_workers_than_processors_are_refused_at_once(launcher: Any) -> None:
    with pytest.raises(ConfigError, match="3 workers with 1 CPUs each; allowed: 1 to 2 on 2 CPUs"):
        launcher.launch(described, "", workers=3, metrics=RecordedMetrics())


def test_two_workers_of_which_one_is_killed_end_bitwise_as_two_that_were_not(launcher: Any, tmp_path: Path) -> None:
    whole = Training(tmp_path / "whole", None)
    fragile = Training(tmp_path / "fragile", tmp_path / "killed-once")
    metrics = RecordedMetrics()
    uninterrupted = launcher.launch(train_small_model, whole, workers=2, metrics=RecordedMetrics())
    resumed = launcher.launch(train_small_model, fragile, workers=2, metrics=metrics)
    assert (tmp_path / "killed-once").exists()
    assert [result[1] for result in resumed] in ([5, 5], [10, 10])  # the last one may still have been on its way to the disk
    assert resumed[0][2] == uninterrupted[0][2]
    assert resumed[0][0] == uninterrupted[0][0]
    assert sorted(metrics.values) == list(range(1, 13))


def test_the_message_of_a_training_that_failed_has_what_a_worker_printed_last(launcher: Any) -> None:
    with pytest.raises(TrainingError, match="worker 1 printed last: RuntimeError: no space left on the device"):
        launcher.launch(die_with_last_words, "", workers=2, metrics=RecordedMetrics())
