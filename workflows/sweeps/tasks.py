"""How a sweep is done: trainings in parallel, each an artifact of its own; then the law, a larger training, and the verdict.

A killed sweep goes on with the trainings that are missing, and those that were under way go on from their checkpoints. The same
training in two sweeps is done once.
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import (
    Artifact,
    Point,
    ScalingLaw,
    SweepPoint,
    SweepRuns,
    Tokenizer,
    TokenShards,
    TrainingPlan,
)
from components.pretraining.config import PretrainingConfig
from components.scaling.config import FitConfig
from components.scaling.sweeps.ladder import Ladder
from infra import caching
from infra.flyte import environments
from infra.mlflow import tracking
from workflows.curation import check_corpus, curation
from workflows.pretraining import check_pretraining, pretraining
from workflows.scaling import check_plan, verdict
from workflows.steps import journal
from workflows.steps.step import Order, Run, checked, make, obtain
from workflows.sweeps.sweep import Sweep
from workflows.tokenizer import check_token_shards, token_shards, tokenizer

if TYPE_CHECKING:
    from components.pretraining.trunks import Branch


@dataclass(frozen=True, kw_only=True, slots=True)
class PointRequest:
    """One training of a sweep, and how it is done."""

    point: Point
    training: PretrainingConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class PointsRequest:
    """All trainings of a ladder or a grid."""

    points: tuple[Point, ...]
    training: PretrainingConfig

    def requests(self) -> dict[str, PointRequest]:
        """Each by its number."""
        return {f"{number:04d}": PointRequest(point=point, training=self.training) for number, point in enumerate(self.points)}


@dataclass(frozen=True, kw_only=True, slots=True)
class LawRequest:
    """How a ladder or a grid is fitted."""

    name: str
    fit: FitConfig


@environments.driver.task
async def sweep(config: Sweep, run: Run) -> Artifact:
    """The laws of a sweep; where its ladder has a target, also the training that they predict, and the verdict on it."""
    words, tokens = await _tokens(config, run)
    law = await laws(config, run, tokens)
    if config.ladder is None or config.ladder.target is None:
        return law.as_(Artifact)
    plan = await obtain(run, extrapolation, config.ladder, law=law, tokenizer=words, token_shards=tokens)
    await checked(run, check_plan, config.checks.plan, plan=plan)
    base = await obtain(run, pretraining, config.pretraining, plan=plan, token_shards=tokens, tokenizer=words)
    await checked(run, check_pretraining, config.checks.training, checkpoint=base, token_shards=tokens)
    judged = await obtain(run, verdict, config.fit, plan=plan, checkpoint=base)
    return judged.as_(Artifact)


async def laws(config: Sweep, run: Run, tokens: TokenShards) -> ScalingLaw:
    """The law of the sweep's ladder, with batch and learning rate by its grid; or that of the grid alone."""
    how, bases = LawRequest(name=config.name, fit=config.fit), dict[str, ScalingLaw]()
    if config.grid is not None:
        bases["grid"] = await obtain(run, hyper_parameter_law, how, runs=await _runs(config.grid.points(), config, run, tokens))
    if config.ladder is None:
        return bases["grid"]
    law: ScalingLaw = await obtain(
        run, scaling_law, how, runs=await _runs(config.ladder.points(), config, run, tokens), bases=bases
    )
    return law


async def _tokens(config: Sweep, run: Run) -> tuple[Tokenizer, TokenShards]:
    from components.curation.reading.sources import fingerprint

    corpus = await obtain(run, curation, config.curation, facts={"sources": fingerprint(config.curation)})
    await checked(run, check_corpus, config.checks.corpus, corpus=corpus)
    words = await obtain(run, tokenizer, config.tokenizer, corpus=corpus)
    tokens = await obtain(run, token_shards, config.token_shards, corpus=corpus, tokenizer=words)
    await checked(run, check_token_shards, config.checks.token_shards, token_shards=tokens, tokenizer=words)
    return words, tokens


async def _runs(points: tuple[Point, ...], config: Sweep, run: Run, tokens: TokenShards) -> SweepRuns:
    request = PointsRequest(points=points, training=config.pretraining)
    found = await sweep_points(request, run, tokens)
    runs: SweepRuns = await obtain(run, sweep_runs, request, points=found, token_shards=tokens)
    return runs


@environments.train.task
async def sweep_points(config: PointsRequest, run: Run, token_shards: TokenShards) -> dict[str, SweepPoint]:
    """Train the points that are missing, in workers that stay; each is published as soon as it is done."""
    requests = config.requests()
    found = {name: artifact for name, request in requests.items() if (artifact := _find(run, request, token_shards))}
    missing = {name: request for name, request in requests.items() if name not in found}
    if missing:
        run.journal.write("points", step="sweep_points", missing=len(missing), total=len(requests))
        with journal.output_to(run.journal.log("sweep_points")):
            found |= _train(run, missing, config.training, token_shards)
    return {name: found[name].as_(SweepPoint) for name in requests}


def sweep_point(order: Order, config: PointRequest, branch: "Branch", token_shards: TokenShards) -> SweepPoint:
    """Publish what came out of one training."""
    from components.pretraining.trunks import write_branch

    return make(
        order, SweepPoint, config, lambda work: write_branch(branch, config.point, work.output), token_shards=token_shards
    )


@environments.cpu.task
async def sweep_runs(order: Order, config: PointsRequest, points: dict[str, SweepPoint], token_shards: TokenShards) -> SweepRuns:
    """Put the trainings of a ladder into one table."""
    from components.scaling.sweeps.table import row_of, tabulate

    store = order.run.store
    rows = [row_of(request.point, store.manifest(points[name].uri).figures) for name, request in config.requests().items()]
    return make(
        order,
        SweepRuns,
        config,
        lambda work: tabulate(rows, work.output),
        points=points,
        token_shards=token_shards,
    )


@environments.cpu.task
async def hyper_parameter_law(order: Order, config: LawRequest, runs: SweepRuns) -> ScalingLaw:
    """Fit the laws of batch and learning rate to a grid, with their report and contours."""
    from components.scaling.fitting.sweep_law import fit_grid

    return make(
        order,
        ScalingLaw,
        config,
        lambda work: fit_grid(config.fit, name=config.name, runs=work.local(runs) / "runs.csv", output=work.output),
        runs=runs,
    )


@environments.cpu.task
async def scaling_law(order: Order, config: LawRequest, runs: SweepRuns, bases: dict[str, ScalingLaw]) -> ScalingLaw:
    """Fit the law of a ladder, with its report and plots; batch and learning rate come from the base, if there is one."""
    from components.scaling.fitting.sweep_law import fit_ladder
    from components.scaling.laws.files import read_law

    return make(
        order,
        ScalingLaw,
        config,
        lambda work: fit_ladder(
            config.fit,
            name=config.name,
            runs=work.local(runs) / "runs.csv",
            base=next((read_law(work.local(base) / "law.json") for base in bases.values()), None),
            output=work.output,
        ),
        runs=runs,
        bases=bases,
    )


@environments.cpu.task
async def extrapolation(
    order: Order, config: Ladder, law: ScalingLaw, tokenizer: Tokenizer, token_shards: TokenShards
) -> TrainingPlan:
    """Plan the training beyond the ladder whose outcome the law predicts."""
    from components.scaling.sweeps.extrapolation import plan_beyond

    return make(
        order,
        TrainingPlan,
        config,
        lambda work: plan_beyond(
            config,
            law=work.local(law),
            tokenizer=work.local(tokenizer),
            token_shards=work.local(token_shards),
            output=work.output,
        ),
        law=law,
        tokenizer=tokenizer,
        token_shards=token_shards,
    )


def _key(request: PointRequest, token_shards: TokenShards) -> str:
    return caching.cache_key(sweep_point, request, {"token_shards": token_shards}, {})


def _find(run: Run, request: PointRequest, token_shards: TokenShards) -> Artifact | None:
    return run.store.find("sweep_point", _key(request, token_shards))


def _train(
    run: Run, missing: Mapping[str, PointRequest], training: PretrainingConfig, token_shards: TokenShards
) -> dict[str, Artifact]:
    """Train what is missing and publish it, and say what of the processors' time was not training."""
    from components.pretraining.trunks import train_trunk, trunks
    from infra.ray import workers as ray_workers
    from infra.ray.local import ensure_ray
    from infra.ray.pool import RayWorkerPool

    started, seconds = time.monotonic(), 0.0
    names = {id(request.point): name for name, request in missing.items()}
    points = [request.point for request in missing.values()]
    place = Path(run.home).absolute() / "scratch" / "sweep_points"
    found = trunks(points, training, run.store.local(token_shards).absolute(), place)
    made: dict[str, Artifact] = {}
    ensure_ray(Path(run.home))
    ray_workers.release()
    with RayWorkerPool() as pool:
        for number, branch in pool.stream(train_trunk, found):
            name = names[id(found[number].points[branch.number])]
            made[name] = _publish(run, missing[name], branch, token_shards)
            seconds += branch.seconds
            journal.progress("sweep_points", len(made), len(missing), "trainings")
        wall, workers = time.monotonic() - started, pool.workers
    shutil.rmtree(place, ignore_errors=True)
    facts = {"wall_seconds": wall, "workers": workers, "core_seconds": seconds, "ratio": wall * workers / max(seconds, 1e-9)}
    run.journal.write("overhead", step="sweep_points", **facts)
    tracking.log_values(run.tracking_uri, run.mlflow_run, 0, {"sweep_overhead": facts["ratio"], "sweep_wall_seconds": wall})
    return made


def _publish(run: Run, request: PointRequest, branch: "Branch", token_shards: TokenShards) -> SweepPoint:
    key, code = _key(request, token_shards), caching.code_digest(sweep_point)
    return sweep_point(Order(step="sweep_point", cache_key=key, code_digest=code, run=run), request, branch, token_shards)
