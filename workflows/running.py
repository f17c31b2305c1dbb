"""Running a recipe on this machine: the home's lock, the run's record, Flyte in local mode, and what failed."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components import errors
from components.errors import LongrunError
from infra.settings import Settings, usable_home
from workflows import journal
from workflows.recipe import Recipe
from workflows.resources import require_resources

if TYPE_CHECKING:
    from workflows.step import Run


def run_recipe(recipe: Recipe, settings: Settings, *, until: str = "", fresh: tuple[str, ...] = ()) -> journal.Journal:
    """Run `recipe` in this process and return the run's journal; a second run in the same home waits for the first.

    Raises:
        LongrunError: what a step failed with, after the journal has it.
    """
    home = usable_home(settings.home)
    require_resources(recipe, home)
    with holding(home):
        shutil.rmtree(home / "writing", ignore_errors=True)
        record = journal.open_journal(settings.runs)
        record.write("run", recipe=recipe.name, until=until, fresh=list(fresh), pid=os.getpid())
        with contextlib.ExitStack() as stack:
            stack.callback(_stop_ray, home)
            stack.enter_context(journal.output_to(record.log("run")))
            _follow(recipe, settings, record, until, fresh)
    return record


def _follow(recipe: Recipe, settings: Settings, record: journal.Journal, until: str, fresh: tuple[str, ...]) -> None:
    from infra import tracking
    from workflows.step import Run

    parent = tracking.start_run(settings.tracking_uri, f"{recipe.name} {record.name}", tags={"recipe": recipe.name})
    run = Run(
        home=str(settings.home),
        directory=str(record.directory),
        tracking_uri=settings.tracking_uri,
        mlflow_run=parent,
        until=until,
        fresh=fresh,
    )
    try:
        _in_flyte(recipe, run, settings.home)
    except BaseException as error:
        tracking.finish_run(settings.tracking_uri, parent, failed=True)
        record.write("finished", failed=True, message=str(error))
        raise
    tracking.finish_run(settings.tracking_uri, parent)
    record.write("finished", failed=False)


def _in_flyte(recipe: Recipe, run: "Run", home: Path) -> None:
    import flyte
    import flyte.errors

    from workflows.pipeline import pipeline

    context = flyte.with_runcontext(
        mode="local", raw_data_path=str(home / "flyte" / "data"), run_base_dir=str(home / "flyte" / "runs")
    )
    try:
        context.run(pipeline, recipe, run)
    except flyte.errors.RuntimeUserError as error:
        raise _own(error) from error


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


def _stop_ray(home: Path) -> None:
    from infra.local_ray import stop_ray

    stop_ray(home)
