"""Proof that a recipe's pretraining survives a kill: trained whole, trained with a kill at a random step, and compared."""

import contextlib
import os
import random
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from components.artifacts import Checkpoint, Plan
from components.errors import ConfigError, TrainingError
from components.files import JSON
from components.ports import Launcher, SilentMetrics
from components.ports.store import records_of
from components.pretraining.config import PretrainingConfig
from infra.settings import Settings
from workflows.recipe import Recipe
from workflows.running import run_recipe
from workflows.steps.journal import Journal, output_to
from workflows.steps.lock import holding
from workflows.steps.run import RunOptions

WORKER = "ray::RayTrainWorker"
"""How Ray names the processes of training workers."""

TOLERANCE = 0.01
"""Relative, of the last loss, where the number of workers changes: the sums over workers are rounded in another order."""

MIN_STEPS = 8
"""Steps of a training with four checkpoints and a step between two of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumeVerdict:
    """Whether training resumed after one kill as if there had been none."""

    workers: int
    """Before the kill."""
    workers_after: int
    killed: bool
    """Whether there was a kill: training may have ended before."""
    killed_after: int
    """Step whose report the kill follows; the worker may have done a few more."""
    resumed_from: int
    """Step of the checkpoint that training resumed from; 0: it did not resume."""
    identical: bool
    """Whether every content file of the output is bitwise that of the training without a kill."""
    loss_difference: float
    """Relative, of the last loss."""

    @property
    def holds(self) -> bool:
        """Whether the output is the same: bitwise at the same number of workers, within the tolerance at another."""
        same = self.identical if self.workers == self.workers_after else self.loss_difference <= TOLERANCE
        return same and self.killed and self.resumed_from > 0


@dataclass
class _KillingMetrics:
    """Metrics that kill one training worker after a step, and keep the step that training resumed from."""

    kill_after: int
    kill: Callable[[], None]
    resumed_from: int = 0
    killed: bool = False

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the step that training resumed from."""
        self.resumed_from = int(values.get("resumed_from", self.resumed_from))

    def measured(self, values: Mapping[str, float]) -> None:
        """Drop the values."""

    def progress(self, done: float, total: float, unit: str) -> None:
        """Kill the worker once its step is done."""
        if not self.killed and done >= self.kill_after:
            self.killed = True
            self.kill()


def prove(recipe: Recipe, settings: Settings, *, steps: int, seed: int) -> list[ResumeVerdict]:
    """Train a shortened plan of `recipe` without a kill, and again with kills: at the same and at another world size.

    Args:
        recipe: its corpus, tokens and plan are made, or taken from where artifacts are kept.
        settings: the home.
        steps: of the shortened training, which has four checkpoints; fewer where the plan has fewer.
        seed: of the step at which a worker is killed, in the third quarter: after the first checkpoints, before the end.

    Raises:
        ConfigError: a plan of fewer than `MIN_STEPS` steps.
        TrainingError: there was no worker to kill.
    """
    from infra.ray.local import ensure_ray, stop_ray
    from infra.ray.train import RayLauncher

    journal, home = run_recipe(recipe, settings, RunOptions(until="scaling")), settings.home
    directory = home / "resume-proof"
    shutil.rmtree(directory, ignore_errors=True)
    with holding(home), output_to(journal.log("resume-proof")):
        try:
            inputs = inputs_of(recipe.pretraining, journal, settings)
            proof = Proof.of(
                recipe.pretraining,
                inputs,
                directory,
                steps,
                lambda max_failures: RayLauncher(storage_path=home / "ray-train", max_failures=max_failures),
            )
            ensure_ray(home)
            return proof.verdicts(random.Random(seed))
        finally:
            stop_ray(home)
            shutil.rmtree(directory, ignore_errors=True)


def inputs_of(config: PretrainingConfig, journal: Journal, settings: Settings) -> dict[str, Path]:
    """What a run has made for its pretraining, as directories of this machine.

    They are those of scaling, token_shards and tokenizer, and of start where training starts from a checkpoint.
    """
    store = settings.store
    steps = ("scaling", "token_shards", "tokenizer", *(("start",) if config.start else ()))
    return {step: store.local(journal.artifact(step)) for step in steps}


def _kill_a_worker() -> None:
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may have ended meanwhile
            if " ".join(process.cmdline()).startswith(WORKER):
                process.send_signal(signal.SIGKILL)
                return
    raise TrainingError("no training worker was found to kill; the proof needs workers on this machine")


@dataclass(frozen=True)
class Proof:
    """Trainings of one shortened plan."""

    config: PretrainingConfig
    plan: Plan
    inputs: Mapping[str, Path]
    """As `inputs_of` names them, with the shortened plan."""
    directory: Path
    """Where the trainings are done."""
    launcher: Callable[[int], Launcher]
    """Of trainings that resume after at most so many failures."""
    kill: Callable[[], None]
    """Ends a worker."""

    @classmethod
    def of(
        cls,
        config: PretrainingConfig,
        inputs: Mapping[str, Path],
        directory: Path,
        steps: int,
        launcher: Callable[[int], Launcher],
        kill: Callable[[], None] = _kill_a_worker,
    ) -> "Proof":
        """The proof over so many steps, or as many as the plan in `inputs` has. Raises `ConfigError` for too few."""
        plan = _shortened(Plan.read(inputs["scaling"]), steps)
        (directory / "plan").mkdir(parents=True)
        plan.write(directory / "plan")
        checkpoints = replace(config.training.checkpoints, steps=plan.steps // 4, seconds=None)
        config = replace(config, training=replace(config.training, checkpoints=checkpoints, deterministic=True))
        return cls(config, plan, {**inputs, "scaling": directory / "plan"}, directory, launcher, kill)

    def verdicts(self, chance: random.Random) -> list[ResumeVerdict]:
        """Train without a kill, and with one in the third quarter: at the same world size, and at another if there is one."""
        config, steps = self.config.training, self.plan.steps
        whole = self.trained("whole", config.workers, None)
        more = config.workers + config.layout.workers_per_replica
        other = more if more <= (os.cpu_count() or 1) else config.workers - config.layout.workers_per_replica
        sizes = [config.workers, *([other] if other and config.layout.data is None else [])]
        return [self.verdict(whole, after, chance.randint(steps // 2, 3 * steps // 4)) for after in sizes]

    def verdict(self, whole: Path, after: int, kill_after: int) -> ResumeVerdict:
        """Train with a kill, after which there are `after` workers, and compare with `whole`, the output without a kill."""
        name, metrics = f"killed-{after}", _KillingMetrics(kill_after, self.kill)
        workers = self.config.training.workers
        changed = after != workers
        try:
            output = self.trained(name, workers, metrics, max_failures=0 if changed else 1)
        except TrainingError:
            if not (changed and metrics.killed):
                raise
            output = self.trained(name, after, metrics)
        return ResumeVerdict(
            workers=workers,
            workers_after=after,
            killed=metrics.killed,
            killed_after=kill_after,
            resumed_from=metrics.resumed_from,
            identical=_contents(output) == _contents(whole),
            loss_difference=abs(_last_loss(output) / _last_loss(whole) - 1),
        )

    def trained(self, name: str, workers: int, metrics: _KillingMetrics | None, *, max_failures: int = 0) -> Path:
        """The output of a training by that many workers."""
        from components.pretraining.pretrain import PretrainingInputs, pretrain

        output = self.directory / name / "output"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        pretrain(
            replace(self.config, training=replace(self.config.training, workers=workers)),
            PretrainingInputs(
                plan=self.inputs["scaling"],
                token_shards=self.inputs["token_shards"],
                tokenizer=self.inputs["tokenizer"],
                start=self.inputs.get("start"),
            ),
            output=output,
            scratch=self.directory / name / "scratch",
            launcher=self.launcher(max_failures),
            metrics=metrics or SilentMetrics(),
        )
        return output


def verdict_lines(verdicts: list[ResumeVerdict]) -> list[str]:
    """A line for each verdict."""
    return [_sentence(verdict) for verdict in verdicts]


def as_json(verdicts: list[ResumeVerdict]) -> list[dict[str, JSON]]:
    """The verdicts as JSON values, with whether each holds."""
    return [asdict(verdict) | {"holds": verdict.holds} for verdict in verdicts]


def _sentence(verdict: ResumeVerdict) -> str:
    workers = f"{verdict.workers} -> {verdict.workers_after} workers"
    if not verdict.killed:
        return f"{'not killed':<12}{workers:<18}training ended before step {verdict.killed_after} was reported: nothing is proved"
    outcome = "holds" if verdict.holds else "BROKEN"
    same = verdict.workers == verdict.workers_after
    comparison = (
        f"output bitwise {'the same' if verdict.identical else 'different'}"
        if same
        else f"last loss {verdict.loss_difference:.2e} off (allowed {TOLERANCE:g})"
    )
    course = f"killed once step {verdict.killed_after} was reported, resumed from {verdict.resumed_from}"
    return f"{outcome:<12}{workers:<18}{course}: {comparison}"


def _shortened(plan: Plan, steps: int) -> Plan:
    count = min(steps, plan.steps)
    if count < MIN_STEPS:
        raise ConfigError(f"a proof over {count} steps of a plan of {plan.steps}; allowed: at least {MIN_STEPS}")
    return replace(plan, steps=count, tokens=plan.tokens * count // plan.steps, warmup_steps=min(plan.warmup_steps, count // 4))


def _contents(output: Path) -> dict[str, str]:
    """sha256 of each content file; what the record has of a training is of one attempt."""
    return {record.path: record.sha256 for record in records_of(output, Checkpoint) if not record.record}


def _last_loss(output: Path) -> float:
    import pyarrow.parquet as pq

    losses: list[float] = pq.read_table(output / "metrics" / "training.parquet")["loss"].to_pylist()
    return losses[-1]
