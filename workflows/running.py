"""Running a recipe on this machine: the home's lock, the run's record, Flyte in local mode, and what failed."""

import contextlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components import errors
from components.errors import ConfigError, LongrunError
from infra import patience
from infra.profiles import CARRIER, profile_of_process
from infra.settings import HERE, Settings, contain, object_store_endpoint, remember, usable_home
from infra.storage import store_answers
from infra.tracking import server_answers
from workflows import journal
from workflows.recipe import Recipe
from workflows.resources import require_resources

if TYPE_CHECKING:
    from workflows.step import Branch, Run
    from workflows.sweep import Sweep

_FIRST_SECONDS = 10.0
"""For the first answers of the bucket and of MLflow, before anything is done."""


def run_recipe(
    recipe: Recipe, settings: Settings, *, until: str = "", fresh: tuple[str, ...] = (), branch: "Branch | None" = None
) -> journal.Journal:
    """Run `recipe` through Flyte in this process and return the run's journal; its pretraining begins at `branch`.

    Raises:
        LongrunError: what a step failed with, after the journal has it.
    """
    from workflows.pipeline import pipeline

    with recorded(recipe, settings, until=until, fresh=fresh, branch=branch) as run:
        _through_flyte(pipeline, recipe, run, settings)
    return run.journal


def run_sweep(config: "Sweep", settings: Settings) -> journal.Journal:
    """Run a sweep as `run_recipe` runs a recipe."""
    from workflows.sweeping import sweep

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
    from infra.local_ray import stop_ray

    home = usable_home(settings.home)
    contain(home)
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
    from infra.settings import settings

    if profile_of_process() is None:
        raise ConfigError(f"${CARRIER} holds no profile; a run on a cluster is started with: longrun run --on cluster")
    place = settings()
    contain(usable_home(place.home))
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
    from infra import tracking
    from workflows.step import Run

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
        store_answers(settings.artifact_root, object_store_endpoint(settings.artifact_root), _FIRST_SECONDS)
    if settings.mlflow_uri != HERE:
        server_answers(settings.mlflow_uri, _FIRST_SECONDS)


@contextlib.contextmanager
def _telling(record: journal.Journal) -> Iterator[None]:
    """What is waited for stands in the run's events and in the log of the step that waits."""

    class Telling(logging.StreamHandler[Any]):
        def emit(self, said: logging.LogRecord) -> None:
            record.write("waiting", why=said.getMessage())
            super().emit(said)

    handler = Telling(sys.stderr)
    patience.logger.addHandler(handler)
    try:
        yield
    finally:
        patience.logger.removeHandler(handler)


def _own(error: Exception) -> Exception:
    """Flyte reports a task's exception by the name of its class: ours become themselves again."""
    kind = getattr(errors, str(getattr(error, "code", "")), None)
    known = isinstance(kind, type) and issubclass(kind, LongrunError)
    return kind(str(error)) if known else error  # type: ignore[misc]


@contextlib.contextmanager
def holding(home: Path) -> Iterator[None]:
    """Hold the home's lock; where another process holds it, say so and wait."""
    from filelock import FileLock, Timeout

    lock = FileLock(home / "lock")
    holder = home / "lock.holder"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = holder.read_text() if holder.is_file() else "another process"
        journal.show("waiting", why=f"{who} is using {home}; this run starts when it ends (Ctrl-C to give up)")
        lock.acquire()
    try:
        holder.write_text(f"process {os.getpid()} (since {time.strftime('%H:%M:%S')})")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
