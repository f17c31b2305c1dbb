"""Run recipes and sweeps: on this machine through Flyte in local mode, or on a cluster in the pod of the driver."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from components.artifacts import Artifact
from components.errors import ConfigError, ExitCode, error_named, exit_code_of
from components.ports.verification import HASHED
from infra import retry
from infra.cluster.process_profile import CARRIER, profile_of_process
from infra.flyte import environments
from infra.pod.end import end_in_order
from infra.process_end import wait_if_ending
from infra.settings import Settings, remember, settings, usable_home
from infra.variables import keep_caches
from workflows.pipeline import last_artifact, pipeline
from workflows.preflight import require_ready
from workflows.recipe import Recipe, from_json, load_recipe
from workflows.reports.gather import leave_report
from workflows.steps.branching import find_branch_on_cluster, use_branch
from workflows.steps.ending import close_dead_runs, process_facts, recorded, tell_hook, write_end
from workflows.steps.journal import Journal, open_journal, output_to
from workflows.steps.labels import Labels
from workflows.steps.lock import running
from workflows.steps.remains import delete_remains
from workflows.steps.run import Run, RunOptions

if TYPE_CHECKING:
    from workflows.sweeps.sweep import Sweep


def run_recipe(recipe: Recipe, settings: Settings, options: RunOptions | None = None) -> Journal:
    """Run `recipe` through Flyte in this process; the journal of the run.

    Raises:
        LongrunError: the error of a failed step, after it was written to the journal.
    """
    with open_run(recipe, settings, options) as run:
        _through_flyte(pipeline, recipe, run, settings)
    return run.journal


def run_sweep(config: "Sweep", settings: Settings, labels: Labels | None = None) -> Journal:
    """Run a sweep in this process; the journal of the run. Raises the errors of `run_recipe`."""
    from workflows.sweeps.tasks import sweep

    with open_run(config, settings, RunOptions(labels=labels or Labels())) as run:
        _through_flyte(sweep, config, run, settings)
    return run.journal


def run_dedup_curve(recipe: Recipe, settings: Settings) -> Journal:
    """Measure the deduplication curve of a recipe's sources; the journal of the run. Raises the errors of `run_recipe`."""
    from workflows.curation import dedup_curve

    # The curve is not checked, and holds out no documents.
    limits = replace(recipe.checks.corpus, min_validation_documents=1)
    asked = replace(recipe, checks=replace(recipe.checks, corpus=limits))
    with open_run(asked, settings, RunOptions(until="curation")) as run:
        _through_flyte(dedup_curve, recipe.curation, run, settings)
    return run.journal


def _through_flyte(task: Any, config: Any, run: Run, settings: Settings) -> None:
    import flyte
    import flyte.errors

    state = settings.home / "flyte"
    context = flyte.with_runcontext(mode="local", raw_data_path=str(state / "data"), run_base_dir=str(state / "runs"))
    try:
        context.run(task, config, run)
    except flyte.errors.RuntimeUserError as error:
        raise _own(error) from error


@contextlib.contextmanager
def open_run(recipe: "Recipe | Sweep", settings: Settings, options: RunOptions | None = None) -> Iterator[Run]:
    """Open a run of a recipe or a sweep in the home; when the block ends, stop Ray and close the run.

    The run has a journal, a parent run in MLflow and a Ray of its own. Several runs can use a home at the same time: a step that
    two of them need is made once.

    Raises:
        LongrunError: the preflight found a problem; `PreflightError` for several.
    """
    from infra.ray.local import stop_ray

    home = usable_home(settings.home)
    keep_caches(home)
    require_ready(recipe, settings, options.until if options else "")
    journal = open_journal(settings.runs)
    with running(journal, home):
        remember(settings)
        close_dead_runs(settings.runs)
        delete_remains(home)
        with _reported(settings, journal), _started(recipe, journal, settings, options or RunOptions()) as run:
            try:
                yield run
            finally:
                stop_ray(run.ray_state)


@contextlib.contextmanager
def open_run_on_cluster(recipe: "Recipe | Sweep", name: str, options: RunOptions) -> Iterator[Run]:
    """Open the run `name` of a recipe or sweep in the pod of a driver, with the artifact store and MLflow of the profile.

    The pod also prints the events of the journal, so that Flyte and `longrun logs` can show them.

    Raises:
        ConfigError: this process is not in a pod that longrun has started.
        LongrunError: the preflight found a problem; `PreflightError` for several.
    """
    if profile_of_process() is None:
        raise ConfigError(f"${CARRIER} contains no profile; start a run on a cluster with: longrun run --on cluster")
    end_in_order()
    of_pod = settings()
    keep_caches(usable_home(of_pod.home))
    require_ready(recipe, of_pod, options.until)
    with _started(recipe, open_journal(of_pod.runs, name), of_pod, options) as run:
        yield run


@contextlib.contextmanager
def _started(recipe: "Recipe | Sweep", journal: Journal, settings: Settings, options: RunOptions) -> Iterator[Run]:
    from infra.mlflow import tracking
    from workflows.steps import tracked

    HASHED.start_run()
    branch, uri, labels = options.branch, settings.tracking_uri, options.labels
    origin = {"branched_from": branch.run, "branched_from_digest": branch.state.digest} if branch else {}
    stores = {"artifact_root": settings.artifact_root, "tracking_uri": uri}
    asked = {"until": options.until, "fresh": options.fresh, "changes": options.changes, **labels.facts()}
    with recorded(journal), _waits_written_to(journal), output_to(journal.log("run")):
        parent = tracked.start_parent(uri, recipe, journal.name, labels, origin)
        facts = {**asked, **process_facts(), "mlflow_run": parent, **stores, **origin}
        journal.write("run", run=journal.name, recipe=recipe.name, **facts)
        own = {"home": str(settings.home), "directory": str(journal.directory), "mlflow_run": parent, "recipe": recipe.name}
        try:
            run = Run(**own, **stores, options=options)
            use_branch(run)
            yield run
        except BaseException as error:
            wait_if_ending()
            interrupted = isinstance(error, KeyboardInterrupt)
            tracking.fail_run(uri, parent, "KILLED" if interrupted else "FAILED")
            failure = {"error": type(error).__name__, "message": str(error), "exit_code": exit_code_of(error)}
            tell_hook(journal, write_end(journal, failed=True, interrupted=interrupted, **failure))
            raise
        tracking.finish_run(uri, parent)
        tell_hook(journal, write_end(journal, failed=False, exit_code=ExitCode.DONE))


@contextlib.contextmanager
def _reported(settings: Settings, journal: Journal) -> Iterator[None]:
    """Write the page of the run when the block has ended or failed; not after Ctrl-C, which must end the process at once."""
    try:
        yield
    except Exception:
        leave_report(settings, journal)
        raise
    leave_report(settings, journal)


@contextlib.contextmanager
def _waits_written_to(journal: Journal) -> Iterator[None]:
    """Write each retry of a request to the events of the run, and to the log of the step that waits for it."""

    class WaitHandler(logging.StreamHandler[Any]):
        def emit(self, record: logging.LogRecord) -> None:
            journal.write("waiting", why=record.getMessage())
            super().emit(record)

    handler = WaitHandler(sys.stderr)
    retry.logger.addHandler(handler)
    try:
        yield
    finally:
        retry.logger.removeHandler(handler)


def _own(error: Exception) -> Exception:
    """The exception that a task raised. Flyte reports it by the name of its class."""
    return error_named(str(getattr(error, "code", "")), str(error)) or error


@environments.driver.task
async def run_on_cluster(
    recipe: str, name: str, until: str, fresh: list[str], parents: list[str], at: str, changes: list[str], labels: str
) -> Artifact:
    """Run the pipeline in the pod of the driver, with the artifact store and MLflow of its profile.

    With `parents`, pretraining branches off the first of these runs that has finished pretraining, after the fraction `at` of its
    steps. `changes` is what was set on the command line. `recipe` and `labels` are JSON: for typed values, Flyte would make a
    schema at each submission, which takes half a second.
    """
    chosen = from_json(recipe, Recipe)
    branch = find_branch_on_cluster(settings(), parents, at) if parents else None
    chosen_labels = from_json(labels, Labels)
    options = RunOptions(until=until, fresh=tuple(fresh), changes=tuple(changes), branch=branch, labels=chosen_labels)
    with open_run_on_cluster(chosen, name, options) as run:
        return await last_artifact(chosen, run)


@environments.driver.task
async def sweep_on_cluster(config: str, name: str, labels: str) -> Artifact:
    """Run a sweep in the pod of the driver; `config` is the sweep as JSON, and so are its labels."""
    from workflows.sweeps.sweep import Sweep
    from workflows.sweeps.tasks import obtain_sweep

    chosen = from_json(config, Sweep)
    with open_run_on_cluster(chosen, name, RunOptions(labels=from_json(labels, Labels))) as run:
        return await obtain_sweep(chosen, run)


@environments.driver.task
async def run_by_name(recipe: str = "smoke", home: str = ".longrun") -> Artifact:
    """Run a recipe given by name or file; for Flyte's own command line."""
    chosen = load_recipe(recipe)
    with open_run(chosen, settings(home)) as run:
        return await pipeline(chosen, run)
