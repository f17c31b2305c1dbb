"""Running a recipe on this machine: the home's lock, the run's record, Flyte in local mode, and what failed."""

import contextlib
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from components import errors
from components.artifacts import Artifact
from components.errors import ConfigError, LongrunError
from infra import retry
from infra.cluster.process_profile import CARRIER, profile_of_process
from infra.flyte import environments
from infra.mlflow.tracking import require_server
from infra.settings import Settings, remember, settings, usable_home
from infra.storage import object_store_endpoint, require_store
from infra.urls import HERE
from infra.variables import keep_caches
from workflows.pipeline import last_artifact, pipeline
from workflows.recipe import Recipe, from_json, load_recipe
from workflows.resources import require_resources
from workflows.steps import journal
from workflows.steps.lock import holding

if TYPE_CHECKING:
    from workflows.steps.step import Branch, Run
    from workflows.sweeps.sweep import Sweep

_FIRST_SECONDS = 10.0
"""For the first answers of the bucket and of MLflow, before anything is done."""


def run_recipe(
    recipe: Recipe, settings: Settings, *, until: str = "", fresh: tuple[str, ...] = (), branch: "Branch | None" = None
) -> journal.Journal:
    """Run `recipe` through Flyte in this process and return the run's journal; its pretraining begins at `branch`.

    Raises:
        LongrunError: what a step failed with, after the journal has it.
    """
    with recorded(recipe, settings, until=until, fresh=fresh, branch=branch) as run:
        _through_flyte(pipeline, recipe, run, settings)
    return run.journal


def run_sweep(config: "Sweep", settings: Settings) -> journal.Journal:
    """Run a sweep as `run_recipe` runs a recipe."""
    from workflows.sweeps.tasks import sweep

    with recorded(config, settings) as run:
        _through_flyte(sweep, config, run, settings)
    return run.journal


def run_dedup_curve(recipe: Recipe, settings: Settings) -> journal.Journal:
    """Measure the curve of a recipe's deduplication as `run_recipe` runs the recipe."""
    from workflows.curation import dedup_curve

    with recorded(recipe, settings) as run:
        _through_flyte(dedup_curve, recipe.curation, run, settings)
    return run.journal


def _through_flyte(task: Any, config: Any, run: "Run", settings: Settings) -> None:
    import flyte
    import flyte.errors

    state = settings.home / "flyte"
    context = flyte.with_runcontext(mode="local", raw_data_path=str(state / "data"), run_base_dir=str(state / "runs"))
    try:
        context.run(task, config, run)
    except flyte.errors.RuntimeUserError as error:
        raise _own(error) from error


@contextlib.contextmanager
def recorded(
    recipe: "Recipe | Sweep",
    settings: Settings,
    *,
    until: str = "",
    fresh: tuple[str, ...] = (),
    branch: "Branch | None" = None,
) -> Iterator["Run"]:
    """A run of a recipe or a sweep in the home: its lock, its journal, its parent run in MLflow; Ray is stopped at the end.

    A second run in the same home waits for the first.
    """
    from infra.ray.local import stop_ray

    home = usable_home(settings.home)
    keep_caches(home)
    require_resources(recipe, home)
    _require_record(settings)
    with holding(home):
        remember(settings)
        shutil.rmtree(home / "writing", ignore_errors=True)
        with _started(recipe, journal.open_journal(settings.runs), settings, until, fresh, branch) as run:
            try:
                yield run
            finally:
                stop_ray(home)


@contextlib.contextmanager
def recorded_on_cluster(recipe: Recipe, name: str, *, until: str = "", fresh: tuple[str, ...] = ()) -> Iterator["Run"]:
    """The run `name` of `recipe` in a driver's pod: its own folder, artifacts and parent run where the profile says.

    Its journal is what the pod prints, and so what Flyte and `longrun logs` show.
    """
    if profile_of_process() is None:
        raise ConfigError(f"${CARRIER} holds no profile; a run on a cluster is started with: longrun run --on cluster")
    place = settings()
    keep_caches(usable_home(place.home))
    _require_record(place)
    with _started(recipe, journal.open_journal(place.runs, name), place, until, fresh) as run:
        yield run


@contextlib.contextmanager
def _started(
    recipe: "Recipe | Sweep",
    record: journal.Journal,
    settings: Settings,
    until: str,
    fresh: tuple[str, ...],
    branch: "Branch | None" = None,
) -> Iterator["Run"]:
    from infra.mlflow import tracking
    from workflows.steps.step import Run

    uri, name = settings.tracking_uri, f"{recipe.name} {record.name}"
    places = {"artifact_root": settings.artifact_root, "tracking_uri": uri}
    origin = {"branched_from": branch.run, "branched_from_digest": branch.state.digest} if branch else {}
    record.write("run", recipe=recipe.name, until=until, fresh=list(fresh), pid=os.getpid(), **places, **origin)
    with _telling(record), journal.output_to(record.log("run")):
        parent = tracking.start_run(uri, name, tags={"recipe": recipe.name, **origin})
        own = {"home": str(settings.home), "directory": str(record.directory), "mlflow_run": parent}
        try:
            yield Run(**own, **places, until=until, fresh=fresh, branch=branch)
        except BaseException as error:
            tracking.fail_run(uri, parent)
            record.write("finished", failed=True, message=str(error))
            raise
        tracking.finish_run(uri, parent)
        record.write("finished", failed=False)


def _require_record(settings: Settings) -> None:
    """The bucket and MLflow answer now, so that a wrong address is no reason to wait. Raises `StoreError` or `TrackingError`."""
    if settings.artifact_root != HERE:
        require_store(settings.artifact_root, object_store_endpoint(settings.artifact_root), _FIRST_SECONDS)
    if settings.mlflow_uri != HERE:
        require_server(settings.mlflow_uri, _FIRST_SECONDS)


@contextlib.contextmanager
def _telling(record: journal.Journal) -> Iterator[None]:
    """What is waited for stands in the run's events and in the log of the step that waits."""

    class Telling(logging.StreamHandler[Any]):
        def emit(self, said: logging.LogRecord) -> None:
            record.write("waiting", why=said.getMessage())
            super().emit(said)

    handler = Telling(sys.stderr)
    retry.logger.addHandler(handler)
    try:
        yield
    finally:
        retry.logger.removeHandler(handler)


def _own(error: Exception) -> Exception:
    """Flyte reports a task's exception by the name of its class: ours become themselves again."""
    kind = getattr(errors, str(getattr(error, "code", "")), None)
    known = isinstance(kind, type) and issubclass(kind, LongrunError)
    return kind(str(error)) if known else error  # type: ignore[misc]


@environments.driver.task
async def run_on_cluster(recipe: str, name: str, until: str, fresh: list[str]) -> Artifact:
    """Run the pipeline in the driver's pod: the profile that it carries says where artifacts and records go.

    `recipe` is JSON: of the whole type, Flyte would make a schema at each submission, which takes half a second.
    """
    chosen = from_json(recipe)
    with recorded_on_cluster(chosen, name, until=until, fresh=tuple(fresh)) as run:
        return await last_artifact(chosen, run)


@environments.driver.task
async def run_by_name(recipe: str = "smoke", home: str = ".longrun") -> Artifact:
    """Run a recipe by its name or file, for Flyte's own command line."""
    chosen = load_recipe(recipe)
    with recorded(chosen, settings(home)) as run:
        return await pipeline(chosen, run)
