"""How every step is done: look for its artifact, else make it, record it, and hand it on.

`step` makes a Flyte task of a function that names a component. `obtain` runs in the driver and decides reuse by what stands in
the store, so that a hit is always whole. `make` runs in the step's own task, and turns a component's output directory into a
published artifact.
"""

import functools
import inspect
import shutil
import time
import typing
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from components.artifacts import Artifact, Check, CheckReport, Manifest
from components.decides import deciding
from components.errors import LongrunError, TrackingError, single_line
from components.files import JSON
from infra import caching
from infra.mlflow import tracking
from infra.pod.end import end_in_order
from workflows.steps import journal
from workflows.steps.gates import gate
from workflows.steps.inputs import StepFunction, called, flat, parameters_of
from workflows.steps.run import Order, Run
from workflows.steps.work import PORTS, Work

if TYPE_CHECKING:
    from flyte import TaskEnvironment

Kind = TypeVar("Kind", bound=Artifact)
MadeKind = TypeVar("MadeKind", bound=Artifact, covariant=True)

Facts = Callable[[Any], Mapping[str, str]]
"""Of a step's config to values beside config and inputs that decide reuse, such as a fingerprint of raw sources."""


class StepTask(Protocol[MadeKind]):
    """A Flyte task that makes one artifact."""

    func: Any
    """The task's function: of an `Order`, the config and the inputs; with the step's `facts`."""

    def __call__(self, order: Order, config: Any, /, **inputs: Any) -> Awaitable[MadeKind]:
        """Make the artifact."""
        ...


def step(
    environment: "TaskEnvironment", kind: type[Kind], *, facts: Facts | None = None
) -> Callable[[StepFunction], StepTask[Kind]]:
    """Make a step of the function below it, whose parameters are config and inputs, and which returns the component to call.

    The component is imported inside the function: what it reaches from there decides reuse, and nothing is loaded before.
    Its own name is that of the step and of the task in Flyte.
    """

    def decorate(function: StepFunction) -> StepTask[Kind]:
        for parameter in parameters_of(function):
            if parameter.name in {*PORTS, "inputs", "order"}:
                raise TypeError(
                    f"step {function.__name__}: an input cannot be called {parameter.name}; a component finds other things there"
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

        # Flyte reads the types of a task here, and our keys the source that `functools.wraps` points to.
        task.__signature__ = signature  # type: ignore[attr-defined]
        task.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()} | {"return": kind}
        task.facts = facts  # type: ignore[attr-defined]
        return typing.cast("StepTask[Kind]", environment.task(task))

    return decorate


def _plain(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter without what its type says to us and not to Flyte."""
    annotation = parameter.annotation
    return parameter.replace(
        annotation=typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation
    )


async def obtain(run: Run, task: StepTask[Kind], config: Any, **inputs: Any) -> Kind:
    """The artifact of a step: from the store if it is there and undamaged, else made by its task."""
    function = task.func
    step, facts = function.__name__, function.facts(config) if function.facts else {}
    key = caching.cache_key(function, config, flat(inputs), facts)
    cached = None if step in run.options.fresh else run.store.find(step, key)
    if cached is None:
        code = caching.code_digest(function, config)
        return await _made(task, Order(step=step, cache_key=key, code_digest=code, run=run), config, inputs)
    figures = run.store.manifest(cached.uri).figures
    run.journal.write("cached", step=step, **cached.pinned, figures=figures)
    kind: type[Kind] = function.__annotations__["return"]
    return cached.as_(kind)


async def _made(task: StepTask[Kind], order: Order, config: Any, inputs: Mapping[str, Any]) -> Kind:
    """What the task makes. Where it fails after it has published that, as by the end of its process, the artifact counts."""
    store, before = order.store, order.store.count_attempts(order.step, order.cache_key)
    try:
        return await task(order, config, **inputs)
    except Exception as error:
        published = store.find(order.step, order.cache_key)
        if published is None or store.count_attempts(order.step, order.cache_key) == before:
            raise
        figures = store.manifest(published.uri).figures
        order.run.journal.write("cached", step=order.step, **published.pinned, figures=figures, failed_after=single_line(error))
        kind: type[Kind] = task.func.__annotations__["return"]
        return published.as_(kind)


async def checked(run: Run, task: StepTask[Check], limits: Any, artifact: Artifact, **others: Any) -> Check:
    """Obtain the check of an artifact, and stop the run here if it failed."""
    return gate(run.store, await obtain(run, task, limits, artifact=artifact, **others))


Call = Callable[[Work], Mapping[str, Any] | CheckReport]
"""Calls a component, which fills `Work.output`; its figures, or the report of a check."""


def make(order: Order, kind: type[Kind], config: Any, call: Call, inputs: Mapping[str, Any]) -> Kind:
    """Call a component, and publish what it made with its inputs.

    A failure is written to the run's journal and raised again; a half-written output is removed.
    """
    run, started = order.run, time.monotonic()
    end_in_order()
    if order.fresh:
        for directory in (order.scratch, order.index):
            shutil.rmtree(directory, ignore_errors=True)
    run.journal.write("started", step=order.step, config=caching.as_json(config))
    mlflow_run = tracking.start_run(run.tracking_uri, order.step, parent=run.mlflow_run)
    try:
        with run.store.writing(order.step) as output, journal.output_to(run.journal.log(order.step)):
            work = Work(order=order, output=output, mlflow_run=mlflow_run, inputs=flat(inputs))
            figures, component_seconds = _timed(call, work)
            work.measured({"seconds": time.monotonic() - started, "component_seconds": component_seconds})
            artifact = _published(work, kind, config, figures)
            seconds = {"seconds": time.monotonic() - started, "component_seconds": component_seconds}
            run.journal.write("made", step=order.step, **artifact.pinned, figures=figures, **seconds)
    except BaseException as error:
        tracking.fail_run(run.tracking_uri, mlflow_run)
        failure = {"error": type(error).__name__, "message": str(error), "known": isinstance(error, LongrunError)}
        run.journal.write("failed", step=order.step, **failure)
        raise
    tracking.finish_run(run.tracking_uri, mlflow_run)
    return artifact


def _timed(call: Call, work: Work) -> tuple[dict[str, JSON], float]:
    """The component's figures, and the seconds that were its own; its metrics are sent even if it fails."""
    entered = time.monotonic()
    try:
        outcome = call(work)
        figures = work.report(outcome) if isinstance(outcome, CheckReport) else dict(outcome)
    except TrackingError:
        raise  # buffered metrics would wait for the same server again
    except BaseException:
        work.flush()
        raise
    work.flush()
    return figures, time.monotonic() - entered - work.component_overhead


def _published(work: Work, kind: type[Kind], config: Any, figures: dict[str, JSON]) -> Kind:
    """Publish the output with its manifest, and put its pages, config and figures into MLflow."""
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
    tags = {**artifact.pinned, "cache_key": order.cache_key, "code_digest": order.code_digest}
    shown = {**figures, "measured": work.measurements}
    tracking.log_record(run.tracking_uri, work.mlflow_run, config=manifest.config, figures=shown, tags=tags)
    return artifact.as_(kind)
