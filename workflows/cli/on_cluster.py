"""Runs and sweeps that `--on cluster` submits to a cluster."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from components.errors import ConfigError

if TYPE_CHECKING:
    from infra.settings import Settings
    from workflows.commands.cluster.runs import ClusterRun
    from workflows.recipe import Recipe
    from workflows.steps.labels import Labels
    from workflows.steps.run import RunOptions
    from workflows.sweeps.sweep import Sweep

GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """How a run on a cluster is submitted."""

    profile: str
    follow: bool
    max_upload: float
    """Maximum GiB of local files to upload; 0: upload none."""

    @property
    def max_bytes(self) -> int:
        """`max_upload` in bytes."""
        return round(self.max_upload * GIB)


def require_options_fit(on: str, *, profile: str, follow: bool, upload: bool, stores: bool) -> None:
    """Raise `ConfigError` for an unknown value of `--on`, and for options that contradict it.

    `stores`: whether the command line names a bucket or an MLflow server; on a cluster the profile names them.
    """
    if on not in {"here", "cluster"}:
        raise ConfigError(f"--on {on}: allowed: here, cluster")
    if on == "here" and (profile or follow or upload):
        raise ConfigError("--profile, --follow and --upload need a run on a cluster: add --on cluster")
    if on == "cluster" and stores:
        raise ConfigError(
            "--artifact-root and --mlflow-uri are not allowed with --on cluster: the profile sets artifact_root and mlflow_uri; "
            "see longrun profile show NAME"
        )


def submit_run(recipe: "Recipe", settings: "Settings", options: "RunOptions", request: Request, *, parent: str, at: str) -> None:
    """Submit a run to a cluster and print how to follow it; with `request.follow`, wait until it ends.

    With `parent`, its pretraining branches off that run after the fraction `at` of its steps. The last lines printed are the
    commands to inspect the model that the run registers.
    """
    from infra.cluster.profiles import read_profile
    from workflows.commands.cluster.submission import commands_about_model, parents_of, submit

    chosen = read_profile(settings.home, request.profile)
    parents = parents_of(settings, parent, at, chosen) if parent else None
    submitted = submit(
        recipe, settings, options, profile=chosen.name, say=typer.echo, parents=parents, max_upload=request.max_bytes
    )
    _follow(submitted, request)
    if options.until in {"", "registration"}:
        for line in commands_about_model(recipe, chosen, settings):
            typer.echo(line)


def submit_sweep(config: "Sweep", settings: "Settings", labels: "Labels", request: Request) -> None:
    """Submit a sweep to a cluster; with `request.follow`, wait until it ends. Then print the command that shows its law."""
    from workflows.commands.cluster import submission

    submitted = submission.submit_sweep(
        config, settings, labels, profile=request.profile, say=typer.echo, max_upload=request.max_bytes
    )
    _follow(submitted, request)
    typer.echo(submission.command_about_law(submitted, settings))


def _follow(submitted: "ClusterRun", request: Request) -> None:
    from workflows.commands.cluster.runs import follow

    if request.follow:
        follow(submitted, typer.echo)
