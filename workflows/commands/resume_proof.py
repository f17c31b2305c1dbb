"""`longrun resume-proof`: prove that pretraining survives the kill of a worker.

The same shortened plan is trained without a kill and with a kill at a random step, and the outputs are compared.
"""

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
from workflows.steps.lock import alone, running
from workflows.steps.run import RunOptions, ray_state_of

WORKER = "ray::RayTrainWorker"
"""Start of the command line of Ray's training workers."""

TOLERANCE = 0.01
"""Allowed relative difference of the last loss if the number of workers changes, which changes the order of summation."""

MIN_STEPS = 8
"""Minimum steps of the shortened training: four checkpoints, with at least one step between two of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumeVerdict:
    """The comparison of a training run with one kill to the training without."""

    workers: int
    """Number of workers before the kill."""
    workers_after: int
    """Number of workers after the kill."""
    killed: bool
    """Whether a worker was killed; False if training ended before `killed_after`."""
    killed_after: int
    """Reported step after which the worker was killed; it may have done a few more steps."""
    resumed_from: int
    """Step of the checkpoint from which training resumed; 0 if it did not resume."""
    identical: bool
    """Whether every content file of the output has the same bytes as without a kill."""
    loss_difference: float
    """Relative difference of the last loss."""

    @property
    def holds(self) -> bool:
        """Whether training resumed with equal bytes, or with another number of workers with a loss within `TOLERANCE`."""
        same = self.identical if self.workers == self.workers_after else self.loss_difference <= TOLERANCE
        return same and self.killed and self.resumed_from > 0


@dataclass
class _KillingMetrics:
    """Metrics that kill one training worker after step `kill_after`, and record the step from which training resumed."""

    kill_after: int
    kill: Callable[[], None]
    resumed_from: int = 0
    killed: bool = False

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Record the step from which training resumed."""
        self.resumed_from = int(values.get("resumed_from", self.resumed_from))

    def measured(self, values: Mapping[str, float]) -> None:
        """Drop the values."""

    def progress(self, done: float, total: float, unit: str) -> None:
        """Kill a worker once step `kill_after` is done."""
        if not self.killed and done >= self.kill_after:
            self.killed = True
            self.kill()


def prove(recipe: Recipe, settings: Settings, *, steps: int, seed: int) -> list[ResumeVerdict]:
    """Train a shortened plan of `recipe` without a kill, and again with kills; the verdict for each number of workers.

    Args:
        recipe: the recipe whose corpus, tokens and plan are used; they are made unless they are cached.
        settings: settings of the home.
        steps: optimizer steps of the shortened training, at most those of the plan; it writes four checkpoints.
        seed: random seed for the step at which a worker is killed; it is in the third quarter, after the first checkpoints.

    Raises:
        ConfigError: the plan has fewer than `MIN_STEPS` steps.
        TrainingError: there was no worker to kill.
    """
    from infra.ray.local import ensure_ray, stop_ray
    from infra.ray.train import RayLauncher

    journal, home = run_recipe(recipe, settings, RunOptions(until="scaling")), settings.home
    directory, state = home / "resume-proof", ray_state_of(home, journal)
    with running(journal, home), alone(home, "resume-proof"), output_to(journal.log("resume-proof")):
        shutil.rmtree(directory, ignore_errors=True)
        try:
            inputs = inputs_of(recipe.pretraining, journal, settings)
            proof = Proof.of(
                recipe.pretraining,
                inputs,
                directory,
                steps,
                lambda max_failures: RayLauncher(storage_path=home / "ray-train", max_failures=max_failures),
            )
            ensure_ray(state)
            return proof.verdicts(random.Random(seed))
        finally:
            stop_ray(state)
            shutil.rmtree(directory, ignore_errors=True)


def inputs_of(config: PretrainingConfig, journal: Journal, settings: Settings) -> dict[str, Path]:
    """Local directories of the pretraining inputs that a run has made, by the step that made each.

    The steps are scaling, token_shards and tokenizer, and start if training starts from a checkpoint.
    """
    store = settings.store
    steps = ("scaling", "token_shards", "tokenizer", *(("start",) if config.start else ()))
    return {step: store.local(journal.artifact(step)) for step in steps}


def _kill_a_worker() -> None:
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # the process may have ended meanwhile
            if " ".join(process.cmdline()).startswith(WORKER):
                process.send_signal(signal.SIGKILL)
                return
    raise TrainingError(f"found no process {WORKER} to kill; resume-proof needs training workers on this machine")


@dataclass(frozen=True)
class Proof:
    """The training runs of one shortened plan, with and without a kill."""

    config: PretrainingConfig
    plan: Plan
    inputs: Mapping[str, Path]
    """Directories of the inputs, as `inputs_of` returns them, with the shortened plan."""
    directory: Path
    """Directory for the outputs and scratch files of the training runs."""
    launcher: Callable[[int], Launcher]
    """Makes the launcher of a training run that may resume after at most the given number of failures."""
    kill: Callable[[], None]
    """Kills one training worker."""

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
        """A proof over `steps` steps, or all steps of the plan in `inputs` if it has fewer.

        Raises `ConfigError` if these are fewer than `MIN_STEPS`.
        """
        plan = _shortened(Plan.read(inputs["scaling"]), steps)
        (directory / "plan").mkdir(parents=True)
        plan.write(directory / "plan")
        checkpoints = replace(config.training.checkpoints, steps=plan.steps // 4, seconds=None)
        config = replace(config, training=replace(config.training, checkpoints=checkpoints, deterministic=True))
        return cls(config, plan, {**inputs, "scaling": directory / "plan"}, directory, launcher, kill)

    def verdicts(self, chance: random.Random) -> list[ResumeVerdict]:
        """Train without a kill, then with one in the third quarter, resumed with the same and with another number of workers.

        The other number is one replica more, or one less if the machine has too few cores; it is left out if there is none.
        """
        config, steps = self.config.training, self.plan.steps
        whole = self.trained("whole", config.workers, None)
        more = config.workers + config.layout.workers_per_replica
        other = more if more <= (os.cpu_count() or 1) else config.workers - config.layout.workers_per_replica
        sizes = [config.workers, *([other] if other and config.layout.data is None else [])]
        return [self.verdict(whole, after, chance.randint(steps // 2, 3 * steps // 4)) for after in sizes]

    def verdict(self, whole: Path, after: int, kill_after: int) -> ResumeVerdict:
        """Train with a kill, resume with `after` workers, and compare with `whole`, the output without a kill."""
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
        """Train with `workers` workers; the output directory."""
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
    """One line per verdict."""
    return [_sentence(verdict) for verdict in verdicts]


def as_json(verdicts: list[ResumeVerdict]) -> list[dict[str, JSON]]:
    """The verdicts as JSON values; `holds` says whether training resumed with the same result."""
    return [asdict(verdict) | {"holds": verdict.holds} for verdict in verdicts]


def _sentence(verdict: ResumeVerdict) -> str:
    workers = f"{verdict.workers} -> {verdict.workers_after} workers"
    if not verdict.killed:
        return f"{'not killed':<12}{workers:<18}training ended before the kill at step {verdict.killed_after}: nothing is proved"
    outcome = "holds" if verdict.holds else "BROKEN"
    same = verdict.workers == verdict.workers_after
    comparison = (
        f"output has {'the same' if verdict.identical else 'different'} bytes"
        if same
        else f"last loss differs by {verdict.loss_difference:.2e} (allowed: {TOLERANCE:g})"
    )
    course = f"killed after step {verdict.killed_after}, resumed from step {verdict.resumed_from}"
    return f"{outcome:<12}{workers:<18}{course}: {comparison}"


def _shortened(plan: Plan, steps: int) -> Plan:
    count = min(steps, plan.steps)
    if count < MIN_STEPS:
        raise ConfigError(f"--steps {steps}, and the plan has {plan.steps} steps; resume-proof needs at least {MIN_STEPS}")
    return replace(plan, steps=count, tokens=plan.tokens * count // plan.steps, warmup_steps=min(plan.warmup_steps, count // 4))


def _contents(output: Path) -> dict[str, str]:
    """sha256 of each content file; record files are left out, since they differ between attempts."""
    return {record.path: record.sha256 for record in records_of(output, Checkpoint) if not record.record}


def _last_loss(output: Path) -> float:
    import pyarrow.parquet as pq

    losses: list[float] = pq.read_table(output / "metrics" / "training.parquet")["loss"].to_pylist()
    return losses[-1]
