"""How a sweep is done: trainings in parallel, each an artifact of its own; then the law, a larger training, and the verdict.

A killed sweep continues with the trainings that are missing, and interrupted ones resume from their checkpoints. A training that
two sweeps share is done once.
"""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from components.artifacts import (
    Artifact,
    Corpus,
    Mixture,
    Point,
    PointOutcome,
    ScalingLaw,
    SweepPoint,
    SweepRuns,
    TokenIndex,
    Tokenizer,
    TokenShards,
    TrainingPlan,
)
from components.pretraining.config import PretrainingConfig
from components.scaling.config import FitConfig
from components.scaling.laws.law import Law
from components.scaling.laws.text_law import TextLaw
from components.scaling.sweeps.grid import Grid
from components.scaling.sweeps.ladder import Ladder
from components.scaling.sweeps.vocabulary import optima
from components.tokenizer.special_tokens import SpecialTokens
from infra import caching
from infra.flyte import environments
from infra.mlflow import tracking
from workflows import curation, pretraining, scaling
from workflows import tokenizer as tokenization
from workflows.steps import journal
from workflows.steps.inputs import Component, only
from workflows.steps.lock import making, recording, wait_for_maker
from workflows.steps.run import Order, Run
from workflows.steps.step import checked, make, obtain, step
from workflows.steps.values import value_of
from workflows.sweeps.sweep import Sweep

if TYPE_CHECKING:
    from components.pretraining.trunks import TrunkBranch

POINTS = "sweep_points"
"""Name of the task that trains the points of a sweep."""

TABLE = only("runs.csv")
"""What is read of the training runs of a sweep."""

LAW = only(f"*{Law.NAME}")
"""What is read of a law: `law.json`, or `text-law.json` of the law of a text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PointRequest:
    """One training run of a sweep, and how it is done."""

    point: Point
    training: PretrainingConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class PointsRequest:
    """All training runs of a ladder or a grid."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class TextLawRequest:
    """How a ladder in several vocabularies is fitted."""

    name: str
    fit: FitConfig
    ladder: Ladder


@environments.driver.task
async def sweep(config: Sweep, run: Run) -> Artifact:
    """Run a sweep; the artifact of its last step."""
    return await obtain_sweep(config, run)


async def obtain_sweep(config: Sweep, run: Run) -> Artifact:
    """The laws of a sweep; where its ladder has a target, also the training that they predict, and the verdict on it."""
    corpus = await obtain(run, curation.curation, config.curation)
    await checked(run, curation.check_corpus, config.checks.corpus, corpus)
    if config.vocabularies:
        return await _obtain_text_sweep(config, run, corpus)
    tokens = await _obtain_tokens(config, run, corpus)
    law = await laws(config, run, tokens["token_shards"].as_(TokenShards))
    return await _judged(config, run, law, tokens)


async def _obtain_text_sweep(config: Sweep, run: Run, corpus: Corpus) -> Artifact:
    """The same for several vocabularies: the law of the text, and the target in the vocabulary that it prefers."""
    bases = {}
    if config.grid is not None:
        tokens = await _obtain_tokens(config, run, corpus)
        bases["grid"] = await _grid_law(config, config.grid, run, tokens["token_shards"].as_(TokenShards))
    runs, tokens_in = dict[str, SweepRuns](), dict[int, dict[str, Artifact]]()
    for size in config.vocabularies:
        single = config.in_vocabulary(size)
        tokens_in[size] = await _obtain_tokens(single, run, corpus)
        shards = tokens_in[size]["token_shards"].as_(TokenShards)
        runs[str(size)] = await _obtain_runs(_ladder(single).points(), single, run, shards)
    ladder = _ladder(config)
    law = await obtain(run, text_law, TextLawRequest(name=config.name, fit=config.fit, ladder=ladder), runs=runs, bases=bases)
    if ladder.target is None:
        return law.as_(Artifact)
    preferred = optima(value_of(run.store, law, TextLaw), ladder.family, ladder.target_compute)[0].vocab_size
    return await _judged(config.in_vocabulary(preferred), run, law, tokens_in[preferred])


async def _judged(config: Sweep, run: Run, law: ScalingLaw, tokens: dict[str, Artifact]) -> Artifact:
    """The verdict on the training of the ladder's target, which the law predicts; the law where there is no target."""
    if config.ladder is None or config.ladder.target is None:
        return law.as_(Artifact)
    plan = await obtain(run, extrapolation, config.ladder, law=law, **tokens)
    await checked(run, scaling.check_plan, config.checks.plan, plan)
    base = await obtain(run, pretraining.pretraining, config.pretraining, plan=plan, **tokens)
    learned = {"token_shards": tokens["token_shards"]}
    await checked(run, pretraining.check_pretraining, config.checks.pretraining, base, **learned)
    verdict = await obtain(run, scaling.verdict, config.fit, plan=plan, checkpoint=base)
    return verdict.as_(Artifact)


async def laws(config: Sweep, run: Run, token_shards: TokenShards) -> ScalingLaw:
    """The law of the sweep's ladder, with batch and learning rate by its grid; or that of the grid alone."""
    bases = dict[str, ScalingLaw]()
    if config.grid is not None:
        bases["grid"] = await _grid_law(config, config.grid, run, token_shards)
    if config.ladder is None:
        return bases["grid"]
    runs = await _obtain_runs(config.ladder.points(), config, run, token_shards)
    return await obtain(run, scaling_law, LawRequest(name=config.name, fit=config.fit), runs=runs, bases=bases)


async def _grid_law(config: Sweep, grid: Grid, run: Run, token_shards: TokenShards) -> ScalingLaw:
    runs = await _obtain_runs(grid.points(), config, run, token_shards)
    return await obtain(run, hyper_parameter_law, LawRequest(name=config.name, fit=config.fit), runs=runs)


def _ladder(config: Sweep) -> Ladder:
    """The ladder of a sweep with vocabularies, which has one."""
    assert config.ladder is not None
    return config.ladder


async def _obtain_tokens(config: Sweep, run: Run, corpus: Corpus) -> dict[str, Artifact]:
    """Tokenizer and token shards, as the inputs that steps call them."""
    tokenizer = await obtain(run, tokenization.tokenizer, config.tokenizer, corpus=corpus)
    shards = await obtain(run, tokenization.token_shards, config.token_shards, corpus=corpus, tokenizer=tokenizer)
    tokens = {"tokenizer": tokenizer, "token_shards": shards}
    await checked(run, tokenization.check_token_shards, config.checks.token_shards, shards, tokenizer=tokenizer)
    return tokens


async def _obtain_runs(points: tuple[Point, ...], config: Sweep, run: Run, token_shards: TokenShards) -> SweepRuns:
    request = PointsRequest(points=points, training=config.pretraining)
    trained = await sweep_points(request, run, token_shards)
    return await obtain(run, sweep_runs, request, points=trained, token_shards=token_shards)


@environments.train.task
async def sweep_points(config: PointsRequest, run: Run, token_shards: TokenShards) -> dict[str, SweepPoint]:
    """Train the points that are missing, in workers that are reused; each is published as soon as it is trained.

    One sweep at a time trains on the same token shards, because trainings of several sweeps may share their first steps.
    """
    requests = config.requests()
    while True:
        with making(run, POINTS, token_shards.content) as mine:
            points = _reused(run, requests, token_shards)
            if mine:
                points |= _train(run, requests, points, config.training, token_shards)
            if len(points) == len(requests):
                return {name: points[name].as_(SweepPoint) for name in requests}
        await wait_for_maker(run, POINTS, token_shards.content)


def sweep_point(order: Order, config: PointRequest, branch: "TrunkBranch", token_shards: TokenShards) -> SweepPoint:
    """Publish the outcome of one training run."""
    from components.pretraining.trunks import write_branch

    inputs = {"token_shards": token_shards}
    return make(order, SweepPoint, config, lambda work: write_branch(branch, config.point, work.output, work.metrics), inputs)


@step(environments.cpu, SweepRuns)
def sweep_runs(
    config: PointsRequest,
    points: Annotated[dict[str, SweepPoint], only(PointOutcome.NAME)],
    token_shards: Annotated[TokenShards, only(TokenIndex.NAME, Mixture.NAME)],
) -> Component:
    """Put the training runs of a ladder into one table."""
    from components.scaling.sweeps.table import tabulate_points

    return partial(tabulate_points, {name: request.point for name, request in config.requests().items()})


@step(environments.cpu, ScalingLaw)
def hyper_parameter_law(config: LawRequest, runs: Annotated[SweepRuns, TABLE]) -> Component:
    """Fit the laws of batch and learning rate to a grid, with their report and contours."""
    from components.scaling.fitting.sweep_law import fit_grid

    return partial(fit_grid, config.fit, name=config.name)


@step(environments.cpu, ScalingLaw)
def scaling_law(
    config: LawRequest, runs: Annotated[SweepRuns, TABLE], bases: Annotated[dict[str, ScalingLaw], only(Law.NAME)]
) -> Component:
    """Fit the law of a ladder, with its report and plots; batch and learning rate come from the base, if there is one."""
    from components.scaling.fitting.sweep_law import fit_ladder

    return partial(fit_ladder, config.fit, name=config.name)


@step(environments.cpu, ScalingLaw)
def text_law(
    config: TextLawRequest,
    runs: Annotated[dict[str, SweepRuns], TABLE],
    bases: Annotated[dict[str, ScalingLaw], only(Law.NAME)],
) -> Component:
    """Fit the law of a text to a ladder in several vocabularies, with its report and plots; batch and rate come from the base."""
    from components.scaling.fitting.text_law import fit_text

    return partial(fit_text, config.fit, name=config.name, ladder=config.ladder)


@step(environments.cpu, TrainingPlan)
def extrapolation(
    config: Ladder,
    law: Annotated[ScalingLaw, LAW],
    tokenizer: Annotated[Tokenizer, only(SpecialTokens.NAME)],
    token_shards: Annotated[TokenShards, only(TokenIndex.NAME, Mixture.NAME)],
) -> Component:
    """Plan the training beyond the ladder whose outcome the law predicts."""
    from components.scaling.sweeps.extrapolation import plan_beyond

    return partial(plan_beyond, config)


def _key(request: PointRequest, token_shards: TokenShards) -> str:
    return caching.cache_key(sweep_point, request, {"token_shards": token_shards}, {})


def _reused(run: Run, requests: Mapping[str, PointRequest], token_shards: TokenShards) -> dict[str, Artifact]:
    """The points that are trained already, by name; written to the journal, so that `gc` keeps them."""
    with recording(Path(run.home)):
        points = {name: run.store.find("sweep_point", _key(request, token_shards)) for name, request in requests.items()}
        trained = {name: artifact for name, artifact in points.items() if artifact is not None}
        for artifact in trained.values():
            run.journal.write("uses", step="sweep_point", **artifact.pinned)
    return trained


def _train(
    run: Run,
    requests: Mapping[str, PointRequest],
    trained: Mapping[str, Artifact],
    training: PretrainingConfig,
    token_shards: TokenShards,
) -> dict[str, Artifact]:
    """Train and publish the points that are not in `trained`, with the output in the log of the step."""
    missing = {name: request for name, request in requests.items() if name not in trained}
    if not missing:
        return {}
    run.journal.write("points", step=POINTS, missing=len(missing), total=len(requests))
    with journal.output_to(run.journal.log(POINTS)):
        return _trained(run, missing, training, token_shards)


def _trained(
    run: Run, missing: Mapping[str, PointRequest], training: PretrainingConfig, token_shards: TokenShards
) -> dict[str, Artifact]:
    """Train what is missing and publish it, and write down the share of the processors' time that was not training."""
    from components.pretraining.trunks import train_trunk, trunks
    from infra.ray import workers as ray_workers
    from infra.ray.local import ensure_ray
    from infra.ray.pool import RayWorkerPool

    started, seconds = time.monotonic(), 0.0
    names = {id(request.point): name for name, request in missing.items()}
    points = [request.point for request in missing.values()]
    scratch = run.store.scratch(POINTS, token_shards.content).absolute()
    shards = run.store.local(token_shards, only=pretraining.TOKENS.patterns)
    planned = trunks(points, training, shards.absolute(), scratch)
    made: dict[str, Artifact] = {}
    ensure_ray(run.ray_state)
    ray_workers.release()
    with RayWorkerPool() as pool:
        for number, branch in pool.stream(train_trunk, planned):
            name = names[id(planned[number].points[branch.number])]
            made[name] = _publish(run, missing[name], branch, token_shards)
            seconds += branch.seconds
            journal.progress(POINTS, len(made), len(missing), "trainings")
        wall, workers = time.monotonic() - started, pool.workers
    shutil.rmtree(scratch, ignore_errors=True)
    facts = {"wall_seconds": wall, "workers": workers, "core_seconds": seconds, "ratio": wall * workers / max(seconds, 1e-9)}
    run.journal.write("overhead", step=POINTS, **facts)
    tracking.log_values(run.tracking_uri, run.mlflow_run, 0, {"sweep_overhead": facts["ratio"], "sweep_wall_seconds": wall})
    return made


def _publish(run: Run, request: PointRequest, branch: "TrunkBranch", token_shards: TokenShards) -> SweepPoint:
    key, code = _key(request, token_shards), caching.code_digest(sweep_point)
    return sweep_point(Order(step="sweep_point", cache_key=key, code_digest=code, run=run), request, branch, token_shards)
