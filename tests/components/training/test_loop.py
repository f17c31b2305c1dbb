"""The training loop: what it computes, what it refuses, and how it goes on."""

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from components.errors import CheckpointError, ConfigError, TrainingError
from components.ports import SAVED
from components.series import Series
from components.training.loop import Batch, Terms
from components.training.parallel.layout import ParallelLayout
from tests.components.training.conftest import NextToken, RepeatedPairs, Training, equal, small_model
from tests.paths import ROOT

pytestmark = pytest.mark.long


@pytest.mark.parametrize("zero_stage", [1, 3])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_goes_on_bitwise_from_a_checkpoint(training: Training, precision: str, zero_stage: int, tmp_path: Path) -> None:
    whole, uninterrupted, _ = training(precision=precision, layout=ParallelLayout(zero_stage=zero_stage))
    shutil.rmtree(tmp_path / "checkpoints" / "step-00000012")
    again, resumed, metrics = training(precision=precision, layout=ParallelLayout(zero_stage=zero_stage))
    assert resumed.resumed_from == 10
    assert metrics.values[10] == {**resumed.history[9], "resumed_from": 10.0, "workers": 1.0}
    assert [step for step, values in metrics.values.items() if "tokens_per_second" in values] == [11, 12]
    assert resumed.history == uninterrupted.history
    assert equal(whole, again)


def test_after_a_resume_every_step_has_been_reported_whatever_was_lost_with_the_worker(training: Training) -> None:
    class Killed(BaseException):
        """Takes the place of a signal."""

    def lost(self: object, step: int, total_steps: int, values: object) -> None:
        if step == 10:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.ports.RecordingReporter.report", lost)
        with pytest.raises(Killed):
            training()
    _, trained, metrics = training()
    assert trained.resumed_from == 10
    assert {step: values["loss"] for step, values in metrics.values.items()} == {
        row["step"]: row["loss"] for row in trained.history
    }


def test_a_finished_training_only_loads_its_last_checkpoint(training: Training) -> None:
    first, _, _ = training()
    again, trained, metrics = training()
    assert trained.resumed_from == 12
    assert metrics.values == {row["step"]: dict(row) for row in trained.history[:-1]} | {
        12: {**trained.history[-1], "resumed_from": 12.0, "workers": 1.0}
    }
    assert equal(first, again)


def test_the_first_step_is_what_adamw_does_in_a_plain_loop(training: Training) -> None:
    model, trained, _ = training(steps=1, warmup_steps=0, checkpoint_steps=None)
    plain = small_model()
    matrices = [p for p in plain.parameters() if p.dim() > 1]
    vectors = [p for p in plain.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.95))
    batches = RepeatedPairs().micro_batches(0, 0, 1)
    weight = sum(NextToken().weight(batch) for batch in batches)
    for batch in batches:
        (NextToken()(plain, batch).loss / weight).backward()
    norm = nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
    optimizer.step()
    assert trained.history[0]["gradient_norm"] == pytest.approx(float(norm), rel=1e-5)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3 if torch.cuda.is_available() else 1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_compiled_model_learns_like_one_that_is_not(training: Training, tmp_path: Path) -> None:
    _, plain, _ = training(steps=3, checkpoints=tmp_path / "plain")
    _, compiled, _ = training(steps=3, checkpoints=tmp_path / "compiled", compile=True)
    assert [row["loss"] for row in compiled.history] == pytest.approx([row["loss"] for row in plain.history], rel=1e-4)


def test_compiling_without_a_compiler_is_refused(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"no C\+\+ compiler"):
        training(compile=True)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_the_model_comes_back_in_fp32_without_hooks_or_gradients_and_the_group_is_gone(
    training: Training, precision: str
) -> None:
    model, _, _ = training(precision=precision, steps=2, checkpoint_steps=None)
    assert {(parameter.dtype, parameter.grad) for parameter in model.parameters()} == {(torch.float32, None)}
    assert not any(torch.equal(p, p.bfloat16().float()) for p in model.parameters() if p.dim() > 1)
    model(torch.zeros(1, 4, dtype=torch.int64)).sum().backward()
    assert not dist.is_initialized()


def test_a_model_trained_before_is_not_rounded_to_bf16_at_the_start(training: Training) -> None:
    model = small_model()
    before = model.head.weight.detach().clone()
    trained, _, _ = training(model=model, precision="bf16", steps=1, warmup_steps=1, learning_rate=1e-9)
    torch.testing.assert_close(trained.head.weight, before, rtol=1e-6, atol=1e-8)


def test_every_step_has_a_row_with_its_figures(training: Training) -> None:
    _, trained, metrics = training()
    assert [row["step"] for row in trained.history] == list(range(1, 13))
    assert [row["tokens"] for row in trained.history] == [128 * step for step in range(1, 13)]
    assert all(row["twice"] == pytest.approx(2 * row["loss"]) for row in trained.history)
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    assert "tokens_per_second" in metrics.values[12]
    assert metrics.seen[-1] == (12, 12, "steps")


class Masked(RepeatedPairs):
    """The same sequences; of the second micro-batch only the first token is learned."""

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        first, second = super().micro_batches(step, rank, world_size)
        targets = second["targets"].clone()
        targets.view(-1)[1:] = -100
        return [first, {"tokens": second["tokens"], "targets": targets}]


def test_each_target_weighs_the_same_whatever_micro_batch_it_is_in(training: Training) -> None:
    _, trained, _ = training(batches=Masked(), steps=1, warmup_steps=1)
    batches = Masked().micro_batches(0, 0, 1)
    with torch.no_grad():
        total = sum(float(NextToken()(small_model(), batch).loss) for batch in batches)
    assert trained.history[0]["loss"] == pytest.approx(total / 65, rel=1e-6)


class TwiceForward(NextToken):
    """Calls the model twice for one loss, as a preference objective does."""

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        halves = [{name: tensor[rows] for name, tensor in batch.items()} for rows in (slice(0, 2), slice(2, 4))]
        terms = [NextToken.__call__(self, model, half) for half in halves]
        return Terms(loss=sum((t.loss for t in terms), torch.tensor(0.0)), figures={"twice": terms[0].figures["twice"]})


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_objective_may_call_the_model_more_than_once(training: Training, precision: str, tmp_path: Path) -> None:
    _, once, _ = training(precision=precision, steps=2, checkpoints=tmp_path / "once")
    _, twice, _ = training(precision=precision, steps=2, checkpoints=tmp_path / "twice", objective=TwiceForward())
    assert twice.history[1]["gradient_norm"] == pytest.approx(once.history[1]["gradient_norm"], rel=2e-2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_parted_model_is_measured_as_a_whole_one(training: Training, precision: str, tmp_path: Path) -> None:
    def validation(model: nn.Module) -> dict[str, float]:
        device = next(model.parameters()).device
        batch = {name: tensor.to(device) for name, tensor in RepeatedPairs().micro_batches(99, 0, 1)[0].items()}
        return {"validation/loss": float(NextToken()(model, batch).loss) / NextToken().weight(batch)}

    measured = [
        training(validation=validation, layout=layout, precision=precision, checkpoints=tmp_path / str(layout))[1].history[-1]
        for layout in (ParallelLayout(), ParallelLayout(zero_stage=3))
    ]
    assert measured[0]["validation/loss"] == pytest.approx(measured[1]["validation/loss"], rel=5e-3)


def test_validation_is_measured_at_its_steps_and_after_the_last(training: Training) -> None:
    seen = []

    def validation(model: nn.Module) -> dict[str, float]:
        seen.append((model.training, torch.is_grad_enabled()))
        return {"validation/loss": float(len(seen))}

    _, trained, _ = training(validation=validation, validation_steps=5)
    measured = {row["step"]: row["validation/loss"] for row in trained.history if "validation/loss" in row}
    assert measured == {5: 1.0, 10: 2.0, 12: 3.0}
    assert set(seen) == {(False, False)}


class BrokenAt(NextToken):
    """The loss is not a number in the batch whose first token is marked."""

    def __init__(self, steps: set[int]) -> None:
        self.marks = {int(RepeatedPairs().micro_batches(step - 1, 0, 1)[0]["tokens"].sum()) for step in steps}

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        terms = super().__call__(model, batch)
        broken = int(batch["tokens"].sum()) in self.marks
        return Terms(loss=terms.loss * math.nan if broken else terms.loss, figures=terms.figures)


def test_a_loss_that_is_not_finite_stops_training_and_names_the_step(training: Training) -> None:
    with pytest.raises(TrainingError, match="step 3: loss nan"):
        training(objective=BrokenAt({3}))
    assert not dist.is_initialized()


@pytest.mark.parametrize("zero_stage", [1, 3])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_that_is_not_finite_can_be_skipped_without_touching_the_weights(
    training: Training, precision: str, zero_stage: int
) -> None:
    model, trained, _ = training(
        objective=BrokenAt({3}), non_finite="skip", precision=precision, layout=ParallelLayout(zero_stage=zero_stage)
    )
    assert "loss" not in trained.history[2]
    assert "gradient_norm" not in trained.history[2]
    assert [row["step"] for row in trained.history if "not_finite" in row] == [3]
    assert trained.history[-1]["loss"] < trained.history[0]["loss"]
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_too_many_skipped_steps_in_a_row_stop_training(training: Training) -> None:
    with pytest.raises(TrainingError, match="step 5"):
        training(objective=BrokenAt({3, 4, 5}), non_finite="skip", max_skipped=2)


class SpikeAt(NextToken):
    """The loss is a hundredfold in the second micro-batch of a step."""

    def __init__(self, step: int) -> None:
        self.tokens = RepeatedPairs().micro_batches(step - 1, 0, 1)[1]["tokens"]

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        terms = super().__call__(model, batch)
        factor = 100 if torch.equal(batch["tokens"].cpu(), self.tokens) else 1
        return Terms(loss=terms.loss * factor, figures=terms.figures)


class InfiniteAt(BrokenAt):
    """The loss is infinite in a marked batch, but its gradient is what it was."""

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        terms = NextToken.__call__(self, model, batch)
        infinite = math.inf if int(batch["tokens"].sum()) in self.marks else 0.0
        return Terms(loss=terms.loss + infinite, figures=terms.figures)


def test_an_infinite_loss_with_a_finite_gradient_is_skipped_like_any_other(training: Training, tmp_path: Path) -> None:
    _, infinite, _ = training(objective=InfiniteAt({3}), non_finite="skip", checkpoints=tmp_path / "infinite")
    _, broken, _ = training(objective=BrokenAt({3}), non_finite="skip", checkpoints=tmp_path / "broken")
    assert "gradient_norm" not in infinite.history[2]
    assert infinite.history == broken.history


class BrokenSpikeAt(SpikeAt):
    """And the gradient is not a number there."""

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        terms = super().__call__(model, batch)
        if torch.equal(batch["tokens"].cpu(), self.tokens):
            terms.loss.register_hook(lambda gradient: gradient * math.nan)
        return terms


LONG = {"steps": 70, "checkpoint_steps": None}


@pytest.mark.parametrize("on_spike", ["report", "stop"])
def test_a_gradient_that_is_not_finite_stops_training_although_the_loss_is_a_spike_too(training: Training, on_spike: str) -> None:
    with pytest.raises(TrainingError, match=r"step 69: loss .*, gradient not finite"):
        training(objective=BrokenSpikeAt(69), on_spike=on_spike, **LONG)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_spike_is_told_and_skipped_without_touching_the_weights(training: Training, precision: str, tmp_path: Path) -> None:
    incidents: list[tuple[int, str]] = []
    _, trained, _ = training(
        objective=SpikeAt(69),
        on_spike="skip",
        on_incident=lambda *incident: incidents.append(incident),
        precision=precision,
        **LONG,
    )
    assert [step for step, _ in incidents] == [69]
    assert incidents[0][1].endswith("a spike")
    assert "gradient_norm" not in trained.history[68]
    _, plain, _ = training(precision=precision, checkpoints=tmp_path / "plain", **LONG)
    assert trained.history[67] == plain.history[67]
    assert trained.history[69]["loss"] == pytest.approx(plain.history[69]["loss"], rel=0.1)


def test_a_spike_is_only_reported_unless_the_policy_says_otherwise(training: Training) -> None:
    incidents: list[int] = []
    _, trained, _ = training(objective=SpikeAt(69), on_incident=lambda step, reason: incidents.append(step), **LONG)
    assert incidents == [69]
    assert "gradient_norm" in trained.history[68]
    assert [row["step"] for row in trained.history if row.get("spike") == 1.0] == [69]


def test_a_spike_can_stop_training(training: Training) -> None:
    with pytest.raises(TrainingError, match=r"step 69: loss .*, a spike"):
        training(objective=SpikeAt(69), on_spike="stop", **LONG)


def test_the_time_of_a_training_is_accounted_for_over_attempts(training: Training, tmp_path: Path) -> None:
    training()
    shutil.rmtree(tmp_path / "checkpoints" / "step-00000012")
    _, _, metrics = training()
    figures = metrics.values[12]
    assert figures["goodput"] + sum(share for name, share in figures.items() if name.startswith("lost/")) == pytest.approx(1.0)
    assert figures["seconds/forward"] > 0
    assert figures["seconds/backward"] > 0


def test_the_time_of_attempts_that_left_no_checkpoint_counts_too(training: Training, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "attempt").write_text(f"1 {time.time() - 10_000}")
    _, _, metrics = training()
    assert metrics.values[12]["lost/restarts"] > 0.9


class NothingToLearn(RepeatedPairs):
    """Every target is masked."""

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        batches = super().micro_batches(step, rank, world_size)
        return [{"tokens": batch["tokens"], "targets": torch.full_like(batch["targets"], -100)} for batch in batches]


def test_a_batch_without_a_single_target_is_refused(training: Training) -> None:
    with pytest.raises(TrainingError, match="no loss terms"):
        training(batches=NothingToLearn())


def test_a_checkpoint_of_another_training_is_refused(training: Training) -> None:
    training(steps=5)
    with pytest.raises(CheckpointError, match="another model, data or configuration"):
        training(identity={"model": "other"})
    with pytest.raises(CheckpointError, match="another model, data or configuration"):
        training(precision="bf16")


def test_a_damaged_checkpoint_is_skipped_for_the_one_before_and_counted(training: Training, tmp_path: Path) -> None:
    whole, _, _ = training()
    state = tmp_path / "checkpoints" / "step-00000012" / "rank-00000.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    again, trained, metrics = training()
    assert trained.resumed_from == 10
    assert metrics.values[10] == {**trained.history[9], "resumed_from": 10.0, "workers": 1.0, "damaged_checkpoints": 1.0}
    assert equal(whole, again)


KILLED = """
import os, signal, sys
from pathlib import Path
from components.ports import RecordingReporter
from components.training.checkpoints.saving import CheckpointPlan
from components.training.loop import TrainSpec, train
from tests.components.training.conftest import NextToken, RepeatedPairs, SeriesMetrics, settings, small_model

class Reporter(RecordingReporter):
    def report(self, step, total_steps, values):
        if step == 11:
            os.kill(os.getpid(), signal.SIGKILL)
        super().report(step, total_steps, values)

train(TrainSpec(model=small_model(), objective=NextToken(), batches=RepeatedPairs()), settings(),
      CheckpointPlan(root=Path(sys.argv[1]), identity={"model": "small"}), Reporter(SeriesMetrics(Path(sys.argv[2]))))
"""


def test_a_training_killed_in_the_middle_ends_as_if_it_had_not_been(training: Training, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), str(tmp_path / "series.jsonl")]
    killed = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    before = Series.read(tmp_path / "series.jsonl")
    resumed, trained, _ = training(checkpoints=tmp_path / "killed", series=tmp_path / "series.jsonl")
    uninterrupted, whole, _ = training(checkpoints=tmp_path / "whole")
    assert trained.resumed_from in (5, 10)  # that of step 10 may still have been on its way to the disk
    assert trained.history == whole.history
    assert equal(resumed, uninterrupted)
    # The series has each step once, with the speeds of both attempts
    series = Series.read(tmp_path / "series.jsonl")
    assert list(before.steps) == list(range(1, 11))
    assert series.points("loss") == [(int(row["step"]), row["loss"]) for row in whole.history]
    assert len(series.points("tokens_per_second")) == len(whole.history)
    assert len((tmp_path / "series.jsonl").read_text().splitlines()) == len(whole.history)


def test_a_training_that_stops_early_leaves_a_checkpoint_from_which_it_goes_on_bitwise(
    training: Training, tmp_path: Path
) -> None:
    whole, uninterrupted, _ = training()
    _, stopped, _ = training(checkpoints=tmp_path / "stopped", until=7)
    again, resumed, _ = training(checkpoints=tmp_path / "stopped")
    assert (len(stopped.history), resumed.resumed_from) == (7, 7)
    assert resumed.history == uninterrupted.history
    assert equal(whole, again)


def test_a_checkpoint_that_is_wanted_is_saved_after_the_step_and_reported(training: Training, tmp_path: Path) -> None:
    asked: list[bool] = []

    def wanted(self: object) -> bool:
        asked.append(len(asked) == 6)  # once, in step 7
        return asked[-1]

    def killed(self: object, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        if SAVED in values:
            raise KeyboardInterrupt(values[SAVED])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.ports.RecordingReporter.checkpoint_wanted", wanted)
        patch.setattr("components.ports.RecordingReporter.report", killed)
        with pytest.raises(KeyboardInterrupt, match="7"):
            training()
    assert (tmp_path / "checkpoints" / "step-00000007").is_dir()
    _, resumed, _ = training()
    assert resumed.resumed_from == 7
