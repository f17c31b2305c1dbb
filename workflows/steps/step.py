"""Executes steps: finds a step's artifact in the store, or makes, records and publishes it.

`step` turns a function that returns a component into a Flyte task. `obtain` runs in the driver and looks in the store for a
complete artifact to reuse. `make` runs in the step's own task and publishes a component's output directory as an artifact.
"""

import contextlib
import functools
import inspect
import shutil
import time
import typing
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from components.artifacts import Artifact, Check, CheckReport, Manifest
from components.decides import deciding
from components.errors import LongrunError, TrackingError, single_line
from components.files import JSON
from infra import caching
from infra.mlflow import tracking
from infra.pod.end import end_in_order
from infra.process_end import wait_if_ending
from workflows.steps import journal, tracked
from workflows.steps.ending import recorded
from workflows.steps.gates import gate
from workflows.steps.inputs import StepFunction, called, flat, parameters_of
from workflows.steps.lock import delete_unused, making, recording, wait_for_maker
from workflows.steps.memory import PeakMemory
from workflows.steps.run import Order, Run
from workflows.steps.work import PORTS, Work

if TYPE_CHECKING:
    from flyte import TaskEnvironment

Kind = TypeVar("Kind", bound=Artifact)
MadeKind = TypeVar("MadeKind", bound=Artifact, covariant=True)

Facts = Callable[[Any], Mapping[str, str]]
"""A function of a step's config that returns further values for the cache key, such as a fingerprint of raw sources."""


class StepTask(Protocol[MadeKind]):
    """A Flyte task that makes one artifact."""

    func: Any
    """The task's function, which takes an `Order`, the config and the inputs; it has the step's `facts` as an attribute."""

    def __call__(self, order: Order, config: Any, /, **inputs: Any) -> Awaitable[MadeKind]:
        """Make and publish the artifact."""
        ...


def step(
    environment: "TaskEnvironment", kind: type[Kind], *, facts: Facts | None = None
) -> Callable[[StepFunction], StepTask[Kind]]:
    """Decorator that turns a function of config and inputs into a step; the function returns the component to call.

    Import the component inside the function: the code that is reached from there decides reuse, and nothing is loaded earlier.
    The function's name is the name of the step and of its task in Flyte.
    """

    def decorate(function: StepFunction) -> StepTask[Kind]:
        for parameter in parameters_of(function):
            if parameter.name in {*PORTS, "inputs", "order"}:
                raise TypeError(
                    f"step {function.__name__}: an input cannot be called {parameter.name}; this name is reserved for components"
                )
        order = inspect.Parameter("order", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Order)
        signature = inspect.Signature([order, *map(_plain, parameters_of(function))], return_annotation=kind)

        @functools.wraps(function)
        async def task(*arguments: Any, **named: Any) -> Kind:
            bound = signature.bind(*arguments, **named)
            bound.apply_defaults()
            order, config, *_ = bound.args
            inputs = {name: bound.arguments[name] for name in list(signature.parameters)[2:]}
            return make(order, kind, config, lambda work: called(function, work, config, inputs), inputs)

        # Flyte reads the task's types here; cache keys use the source that `functools.wraps` refers to
        task.__signature__ = signature  # type: ignore[attr-defined]
        task.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()} | {"return": kind}
        task.facts = facts  # type: ignore[attr-defined]
        return typing.cast("StepTask[Kind]", environment.task(task))

    return decorate


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter with its type without `Annotated`, which only we read."""
    annotation = parameter.annotation
    return parameter.replace(
        annotation=typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation
    )


async def obtain(run: Run, task: StepTask[Kind], config: Any, **inputs: Any) -> Kind:
    """The artifact of a step: from the store if it is there and complete, else made by the step's task."""
    artifact = await _obtained(run, task, config, inputs)
    tracked.show_in_parent(run, task.func.__name__, artifact)
    return artifact


async def _obtained(run: Run, task: StepTask[Kind], config: Any, inputs: Mapping[str, Any]) -> Kind:
    function = task.func
    step, facts = function.__name__, function.facts(config) if function.facts else {}
    key = caching.cache_key(function, config, flat(inputs), facts)
    kind: type[Kind] = function.__annotations__["return"]
    while True:
        with making(run, step, key) as mine:
            cached = None if step in run.options.fresh else _reused(run, step, key)
            if cached is not None:
                return cached.as_(kind)
            if mine:
                order = Order(step=step, cache_key=key, code_digest=caching.code_digest(function, config), run=run)
                return (await _made(task, order, config, inputs)).as_(kind)
        await wait_for_maker(run, step, key)


def _reused(run: Run, step: str, key: str, **facts: str) -> Artifact | None:
    """Find the artifact of a step and cache key, and write to the journal that the run uses it; None if there is none."""
    with recording(Path(run.home)):
        artifact = run.store.find(step, key)
        if artifact is not None:
            figures = run.store.manifest(artifact.uri).figures
            run.journal.write("cached", step=step, **artifact.pinned, figures=figures, **facts)
    return artifact


async def _made(task: StepTask[Kind], order: Order, config: Any, inputs: Mapping[str, Any]) -> Artifact:
    """Run a step's task and return its artifact. If the task fails after publishing it, as by a crash at exit, it still
    counts."""
    store, before = order.store, order.store.count_attempts(order.step, order.cache_key)
    try:
        return await task(order, config, **inputs)
    except Exception as error:
        if store.count_attempts(order.step, order.cache_key) == before:
            raise
        published = _reused(order.run, order.step, order.cache_key, failed_after=single_line(error))
        if published is None:
            raise
        return published


async def checked(run: Run, task: StepTask[Check], limits: Any, artifact: Artifact, **others: Any) -> Check:
    """Obtain the check of an artifact. Raises `CheckFailed` if the check did not pass."""
    return gate(run.store, await obtain(run, task, limits, artifact=artifact, **others), run.journal)


Call = Callable[[Work], Mapping[str, Any] | CheckReport]
"""A function that calls a component, which fills `Work.output`, and returns its figures or the report of a check."""


def make(order: Order, kind: type[Kind], config: Any, call: Call, inputs: Mapping[str, Any]) -> Kind:
    """Call a component and publish its output as an artifact with these inputs.

    A failure is written to the run's journal and raised again; an incomplete output is deleted.
    """
    end_in_order()
    with recorded(order.run.journal):
        return _made_and_recorded(order, kind, config, call, inputs)


def _made_and_recorded(order: Order, kind: type[Kind], config: Any, call: Call, inputs: Mapping[str, Any]) -> Kind:
    run, started = order.run, time.monotonic()
    if order.fresh:
        shutil.rmtree(order.scratch, ignore_errors=True)
        delete_unused(order.index)
    mlflow_run = tracked.start_child(order)
    in_mlflow = {"tracking_uri": run.tracking_uri, "mlflow_run": mlflow_run}
    facts = {"config": caching.as_json(config), "cache_key": order.cache_key, "scratch": str(order.scratch)}
    run.journal.write("started", step=order.step, **facts, **in_mlflow)
    try:
        with (
            contextlib.ExitStack() as held,
            run.store.writing(order.step) as output,
            journal.output_to(run.journal.log(order.step)),
        ):
            work = Work(order=order, output=output, mlflow_run=mlflow_run, inputs=flat(inputs), held=held)
            figures, component_seconds = _timed(call, work)
            work.measured({"seconds": time.monotonic() - started, "component_seconds": component_seconds})
            with recording(Path(run.home)):
                artifact = _published(work, kind, config, figures)
                seconds = {"seconds": time.monotonic() - started, "component_seconds": component_seconds}
                run.journal.write("made", step=order.step, **artifact.pinned, figures=figures, **seconds)
    except BaseException as error:
        wait_if_ending()
        tracking.fail_run(run.tracking_uri, mlflow_run, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        failure = {"error": type(error).__name__, "message": str(error), "known": isinstance(error, LongrunError)}
        run.journal.write("failed", step=order.step, **failure)
        raise
    tracking.finish_run(run.tracking_uri, mlflow_run)
    return artifact


def _timed(call: Call, work: Work) -> tuple[dict[str, JSON], float]:
    """Call the component; returns its figures and its own seconds, without overhead. Sends its metrics even if it fails."""
    entered = time.monotonic()
    try:
        with PeakMemory() as peak:
            outcome = call(work)
        work.measured({"peak_memory_bytes": peak.bytes})
        figures = work.report(outcome) if isinstance(outcome, CheckReport) else dict(outcome)
    except TrackingError:
        raise  # sending buffered metrics would wait for the same server again
    except BaseException:
        work.flush()
        raise
    work.flush()
    return figures, time.monotonic() - entered - work.component_overhead


def _published(work: Work, kind: type[Kind], config: Any, figures: dict[str, JSON]) -> Kind:
    """Publish the output with its manifest, and log its pages, config and figures to MLflow."""
    from components.ports.store import records_of

    order, run = work.order, work.order.run
    manifest = Manifest(
        step=order.step,
        kind=kind.__name__,
        cache_key=order.cache_key,
        config=caching.as_json(config),
        deciding=caching.as_json(config, deciding),
        code_digest=order.code_digest,
        environment_digest=caching.environment_digest(),
        inputs=dict(work.inputs),
        files=records_of(work.output, kind),
        figures=figures,
        checks=work.checks,
        making=work.making(order.step, order.cache_key),
    )
    for page in sorted([*work.output.glob("*.html"), *work.output.glob("*.png")]):
        tracking.log_file(run.tracking_uri, work.mlflow_run, page)
    artifact = run.store.publish(work.output, manifest)
    tracked.show_in_child(work, artifact, manifest)
    return artifact.as_(kind)
