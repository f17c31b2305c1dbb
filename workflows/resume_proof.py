"""Proof that a recipe's pretraining survives a kill: trained whole, trained with a kill at a random step, and compared."""

import contextlib
import json
import os
import random
import shutil
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from components.artifacts import ModelShape, Plan, sha256_of_file
from components.errors import TrainingError
from components.pretraining.config import PretrainingConfig
from infra.settings import Settings
from workflows.journal import output_to
from workflows.recipe import Recipe
from workflows.running import holding, run_recipe

WORKER = "ray::RayTrainWorker"
"""How Ray names the processes of training workers."""

TOLERANCE = 0.01
"""Relative, of the last loss, where the number of workers changes: the sums over workers are rounded in another order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What came of one kill."""

    workers: int
    """Before the kill."""
    workers_after: int
    killed_after: int
    """Step whose report the kill followed; the worker may have gone a little further."""
    resumed_from: int
    """Step of the checkpoint that training went on from; 0: the kill came to nothing."""
    identical: bool
    """Whether every file of the output is bitwise that of the training without a kill."""
    loss_difference: float
    """Relative, of the last loss."""

    @property
    def holds(self) -> bool:
        """Whether it is as promised: bitwise at the same number of workers, within the tolerance at another."""
        same = self.identical if self.workers == self.workers_after else self.loss_difference <= TOLERANCE
        return same and self.resumed_from > 0


@dataclass
class _Executioner:
    """Metrics that kill one training worker once a step is done, and note where training went on."""

    kill_after: int
    resumed_from: int = 0
    killed: bool = False

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Note where training went on."""
        self.resumed_from = int(values.get("resumed_from", self.resumed_from))

    def progress(self, done: float, total: float, unit: str) -> None:
        """Kill once it is time."""
        if not self.killed and done >= self.kill_after:
            self.killed = True
            _kill_a_worker()


def prove(recipe: Recipe, settings: Settings, *, steps: int, seed: int) -> list[Verdict]:
    """Train a shortened plan of `recipe` whole, and again with kills; one verdict at the same and one at another world size.

    Args:
        recipe: its corpus, tokens and plan are made, or taken from the home.
        settings: the home.
        steps: of the shortened training, four checkpoints in it.
        seed: of the step at which a worker is killed, in the third quarter: checkpoints are behind it, and work is left.

    Raises:
        TrainingError: there was no worker to kill.
    """
    record = run_recipe(recipe, settings, until="scaling")
    places = {event["step"]: settings.home / event["uri"] for event in record.events() if "uri" in event}
    place = settings.home / "resume-proof"
    shutil.rmtree(place, ignore_errors=True)
    with holding(settings.home), output_to(record.log("resume-proof")):
        try:
            return _verdicts(recipe.pretraining, places, place, settings.home, steps, random.Random(seed))
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _verdicts(
    config: PretrainingConfig, places: Mapping[str, Path], place: Path, home: Path, steps: int, chance: random.Random
) -> list[Verdict]:
    from infra.local_ray import ensure_ray, stop_ray

    plan = _shortened(places["scaling"], place / "plan", steps)
    changes = {"checkpoint_steps": max(1, steps // 4), "checkpoint_seconds": None, "deterministic": True}
    proof = _Proof(replace(config, **changes), {**places, "scaling": plan}, place, home)  # type: ignore[arg-type]
    ensure_ray(home)
    try:
        whole = proof.trained("whole", config.workers, None)
        more = config.workers + config.layout.replica
        other = more if more <= (os.cpu_count() or 1) else config.workers - config.layout.replica
        sizes = [config.workers, *([other] if other and config.layout.data is None else [])]
        return [proof.verdict(whole, after, chance.randint(steps // 2, 3 * steps // 4)) for after in sizes]
    finally:
        stop_ray(home)


@dataclass(frozen=True)
class _Proof:
    """Trainings of one plan."""

    config: PretrainingConfig
    inputs: Mapping[str, Path]
    place: Path
    home: Path

    def verdict(self, whole: Path, after: int, kill_after: int) -> Verdict:
        """Train with a kill, after which there are `after` workers, and compare."""
        name, executioner = f"killed-{after}", _Executioner(kill_after)
        changed = after != self.config.workers
        try:
            output = self.trained(name, self.config.workers, executioner, max_failures=0 if changed else 1)
        except TrainingError:
            if not (changed and executioner.killed):
                raise
            output = self.trained(name, after, executioner)
        return Verdict(
            workers=self.config.workers,
            workers_after=after,
            killed_after=kill_after,
            resumed_from=executioner.resumed_from,
            identical=_digests(output) == _digests(whole),
            loss_difference=abs(_last_loss(output) / _last_loss(whole) - 1),
        )

    def trained(self, name: str, workers: int, executioner: _Executioner | None, *, max_failures: int = 0) -> Path:
        """Train by that many workers; the output."""
        from components.ports import SilentMetrics
        from components.pretraining.pretrain import pretrain
        from infra.ray_train import RayLauncher

        output = self.place / name / "output"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        pretrain(
            replace(self.config, workers=workers),
            plan=self.inputs["scaling"],
            token_shards=self.inputs["token_shards"],
            tokenizer=self.inputs["tokenizer"],
            output=output,
            scratch=self.place / name / "scratch",
            launcher=RayLauncher(storage_path=self.home / "ray-train", max_failures=max_failures),
            metrics=executioner or SilentMetrics(),
        )
        return output


def verdict_lines(verdicts: list[Verdict]) -> list[str]:
    """A sentence for each."""
    return [_sentence(verdict) for verdict in verdicts]


def as_json(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """The verdicts with what they come to."""
    return [asdict(verdict) | {"holds": verdict.holds} for verdict in verdicts]


def _sentence(verdict: Verdict) -> str:
    held = "holds" if verdict.holds else "BROKEN"
    same = verdict.workers == verdict.workers_after
    found = (
        f"output bitwise {'the same' if verdict.identical else 'different'}"
        if same
        else f"last loss {verdict.loss_difference:.2e} off (allowed {TOLERANCE:g})"
    )
    workers = f"{verdict.workers} -> {verdict.workers_after} workers"
    course = f"killed once step {verdict.killed_after} was reported, resumed from {verdict.resumed_from}"
    return f"{held:<7}{workers:<18}{course}: {found}"


def _shortened(plan: Path, place: Path, steps: int) -> Path:
    raw = json.loads((plan / "plan.json").read_text())
    made = Plan(**raw | {"shape": ModelShape(**raw["shape"]), "notes": tuple(raw["notes"])})
    count = min(steps, made.steps)
    tokens = made.tokens * count // made.steps
    short = replace(made, steps=count, tokens=tokens, warmup_steps=min(made.warmup_steps, count // 4))
    place.mkdir(parents=True)
    (place / "plan.json").write_text(json.dumps(asdict(short)))
    return place


def _kill_a_worker() -> None:
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may have ended meanwhile
            if " ".join(process.cmdline()).startswith(WORKER):
                process.send_signal(signal.SIGKILL)
                return
    raise TrainingError("no training worker was found to kill; the proof needs workers on this machine")


def _digests(output: Path) -> dict[str, str]:
    return {path.relative_to(output).as_posix(): sha256_of_file(path) for path in sorted(output.rglob("*")) if path.is_file()}


def _last_loss(output: Path) -> float:
    import pyarrow.parquet as pq

    losses: list[float] = pq.read_table(output / "metrics" / "training.parquet")["loss"].to_pylist()
    return losses[-1]
