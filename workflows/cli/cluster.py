"""The commands about clusters: profiles, and runs on a cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.errors import ConfigError
from workflows.cli.options import Home, Json, ProfileOption, print_result, settings_of

if TYPE_CHECKING:
    from infra.settings import Settings
    from workflows.commands.cluster.runs import ClusterRun
    from workflows.commands.doctor import Finding
    from workflows.recipe import Recipe
    from workflows.steps.run import RunOptions
    from workflows.sweeps.sweep import Sweep

profile = typer.Typer(no_args_is_help=True, help="Keep profiles: where a cluster is, and what its tasks run in.")

ProfileName = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the start of one, or `latest`.")]


GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """How a run on a cluster is asked for."""

    profile: str
    follow: bool
    max_upload: float
    """GiB of this machine's files that may be sent along; 0: none are."""

    @property
    def max_bytes(self) -> int:
        """The same in bytes."""
        return round(self.max_upload * GIB)


def require_options_fit(on: str, *, profile: str, follow: bool, upload: bool, stores: bool) -> None:
    """Raise `ConfigError` for an unknown word after `--on`, and for options that do not go with it.

    `stores`: whether the command names a bucket or an MLflow server, which on a cluster its profile does.
    """
    if on not in {"here", "cluster"}:
        raise ConfigError(f"--on {on}: allowed: here, cluster")
    if on == "here" and (profile or follow or upload):
        raise ConfigError("--profile, --follow and --upload are about a run on a cluster: add --on cluster")
    if on == "cluster" and stores:
        raise ConfigError("--artifact-root and --mlflow-uri are the profile's on a cluster: longrun profile show NAME")


def run(recipe: "Recipe", settings: "Settings", options: "RunOptions", request: Request, *, parent: str, at: str) -> None:
    """Submit a run to a cluster, from the start of another one where `parent` names it, and follow it if that is asked for.

    At the end it prints the commands that look at what the run registers.
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


def sweep(config: "Sweep", settings: "Settings", request: Request) -> None:
    """Submit a sweep to a cluster, and follow it if that is asked for; then the command that shows its law."""
    from workflows.commands.cluster.submission import command_about_law, submit_sweep

    submitted = submit_sweep(config, settings, profile=request.profile, say=typer.echo, max_upload=request.max_bytes)
    _follow(submitted, request)
    typer.echo(command_about_law(submitted, settings))


def _follow(submitted: "ClusterRun", request: Request) -> None:
    from workflows.commands.cluster.runs import follow

    if request.follow:
        follow(submitted, typer.echo)


def status(run: RunName = "latest", profile: ProfileOption = "", home: Home = None, as_json: Json = False) -> None:
    """Show where a run is: its steps, and what stands in their way."""
    from workflows.commands.cluster.runs import find_run

    shown = find_run(settings_of(home), run, profile).status()
    print_result(shown.as_json, as_json, shown.lines)


def cancel(run: RunName, profile: ProfileOption = "", home: Home = None) -> None:
    """Stop a run on a cluster. What its steps have made stays, and the next run reuses it."""
    from workflows.commands.cluster.runs import find_run

    chosen = find_run(settings_of(home), run, profile)
    chosen.cancel()
    typer.echo(f"run {chosen.name} is being stopped")


def deploy(
    values: Annotated[
        list[str] | None, typer.Option(help="Values file for charts/longrun, or trial, production, gpu. May be repeated.")
    ] = None,
    flyte_values: Annotated[
        list[str] | None, typer.Option(help="Values file for Flyte, over charts/values/flyte.yaml. May be repeated.")
    ] = None,
    charts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Where KubeRay's and Flyte's charts are: a folder, oci://… or https://…; kuberay=PLACE or flyte=PLACE for one.",
        ),
    ] = None,
    registry: Annotated[str, typer.Option(metavar="HOST/PATH", help="Take all images of the three charts from there.")] = "",
    images: Annotated[Path | None, typer.Option(metavar="FILE", help="References or digests of single images, by name.")] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove what deploy has installed; volumes, claims and Secrets stay.")
    ] = False,
    stop_runs: Annotated[bool, typer.Option("--stop-runs", help="With --remove: stop runs that go on.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and render our chart without a cluster.")
    ] = False,
    recipe: Annotated[str, typer.Option("--recipe", help="The recipe whose GPUs the cluster must have.")] = "smoke",
    profile: ProfileOption = "",
    home: Home = None,
) -> None:
    """Install or upgrade the chart longrun, KubeRay and Flyte in a cluster, wait for each, and examine it; or remove them."""
    from infra.cluster.helm import Sources
    from infra.cluster.profiles import read_profile
    from workflows.commands.cluster import deploy as command_deploy
    from workflows.commands.cluster import removal
    from workflows.recipe import load_recipe

    chosen = read_profile(settings_of(home).home, profile)
    sources = Sources(values=values or (), flyte_values=flyte_values or (), charts=charts or (), registry=registry, images=images)
    if remove:
        removal.remove(chosen, stop_runs=stop_runs, dry_run=dry_run, say=typer.echo)
    elif stop_runs:
        raise ConfigError("--stop-runs is about removing: add --remove")
    elif dry_run:
        command_deploy.show(chosen, sources, say=typer.echo)
    else:
        print_findings(command_deploy.deploy(chosen, load_recipe(recipe), sources, say=typer.echo), as_json=False)


def print_findings(findings: "list[Finding]", as_json: bool) -> None:
    """Print a line a finding, with its remedy, and end the command with exit code 1 where one has failed."""
    from workflows.commands.columns import in_columns

    rows = [(f["state"], f["what"], f["found"] + (f"  -> {f['remedy']}" if f["remedy"] else "")) for f in findings]
    print_result(findings, as_json, in_columns(rows, (9, 22)))
    if any(finding["state"] == "failed" for finding in findings):
        raise typer.Exit(1)


@profile.command("create")
def profile_create(
    name: ProfileName,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="One value, such as endpoint=https://flyte.example.org. May be repeated."
        ),
    ] = None,
    sources: Annotated[
        list[Path] | None,
        typer.Option("--from", help="A TOML file to begin with. May be repeated, such as for the digests of `make push`."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a profile of that name.")] = False,
    home: Home = None,
) -> None:
    """Make a profile from files, from single values, or from both."""
    from workflows.commands.cluster.profile import create

    typer.echo(str(create(settings_of(home), name, sources or [], values or [], replace=replace)))


@profile.command("change")
def profile_change(
    name: ProfileName,
    values: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="One value, such as workers=2. May be repeated.")
    ],
    home: Home = None,
) -> None:
    """Change single values of a profile."""
    from workflows.commands.cluster.profile import change

    typer.echo(str(change(settings_of(home), name, values)))


@profile.command("list")
def profile_list(home: Home = None, as_json: Json = False) -> None:
    """List the profiles of this home."""
    from workflows.commands.cluster.profile import rows
    from workflows.commands.columns import in_columns

    profiles = rows(settings_of(home))
    lines = in_columns([(p["profile"], p["endpoint"], f"{p['project']}/{p['domain']}") for p in profiles], (20, 40))
    print_result(profiles, as_json, lines or ["no profiles in this home yet; make one with: longrun profile create"])


@profile.command("show")
def profile_show(name: ProfileName, home: Home = None, as_json: Json = False) -> None:
    """Print a profile. It holds no secrets, only where they are kept."""
    from infra.cluster.profiles import read_profile, to_toml, values_of

    chosen = read_profile(settings_of(home).home, name)
    print_result(values_of(chosen), as_json, [to_toml(chosen).rstrip()])
