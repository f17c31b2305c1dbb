"""Commands that manage clusters: `profile`, `deploy` and `cancel`."""

from pathlib import Path
from typing import Annotated

import typer

from components.errors import ConfigError
from workflows.cli.options import Home, Json, ProfileOption, RunName, print_findings, print_result, settings_of
from workflows.cli.panels import Panel, PlainGroup, epilog

PANEL = Panel("Cluster")

PROFILE = Panel("Commands")

PANEL.commands.add_typer(
    PROFILE.commands,
    name="profile",
    cls=PlainGroup,
    help="Manage profiles: each describes a cluster, its services, and the pods in which steps run.",
    epilog=epilog(["longrun profile list", "longrun profile show site"]),
    no_args_is_help=True,
    rich_help_panel=PANEL.title,
)

ProfileName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the profile.")]


@PANEL.command(
    "longrun deploy --values trial --dry-run",
    "longrun deploy --values production --profile site",
    "longrun deploy --remove --profile site",
)
def deploy(
    values: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Helm values for charts/longrun: a file, or trial, production or gpu. May be repeated."
        ),
    ] = None,
    flyte_values: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Helm values file for Flyte, applied after charts/values/flyte.yaml. May be repeated."),
    ] = None,
    charts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOCATION",
            help="Location of the KubeRay and Flyte charts: a directory, oci://… or https://…. For one of them: "
            "kuberay=LOCATION or flyte=LOCATION. May be repeated.",
        ),
    ] = None,
    registry: Annotated[
        str, typer.Option(metavar="HOST/PATH", help="Registry from which to pull all images of the three charts.")
    ] = "",
    images: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML file that overrides images; its lines are NAME: REFERENCE or NAME: DIGEST."),
    ] = None,
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Uninstall what deploy installed; volumes, volume claims and Secrets are kept."),
    ] = False,
    stop_runs: Annotated[bool, typer.Option("--stop-runs", help="With --remove: cancel the runs that are still active.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the steps without changing the cluster, and check that the chart renders.")
    ] = False,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="RECIPE", help="Check that the cluster has the GPUs that this recipe needs.")
    ] = "smoke",
    profile: ProfileOption = "",
    home: Home = None,
) -> None:
    """Install or upgrade longrun's services on a cluster, and check the cluster.

    Installs the longrun chart, KubeRay and Flyte, one after the other, and waits until each is ready.
    """
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
        raise ConfigError("--stop-runs needs --remove: add --remove, or leave out --stop-runs")
    elif dry_run:
        command_deploy.show(chosen, sources, say=typer.echo)
    else:
        print_findings(command_deploy.deploy(chosen, load_recipe(recipe), sources, say=typer.echo), as_json=False)


@PANEL.command("longrun cancel latest")
def cancel(run: RunName, profile: ProfileOption = "", home: Home = None) -> None:
    """Cancel a run on a cluster; the next run reuses the artifacts of its finished steps."""
    from workflows.commands.cluster.runs import find_run

    chosen = find_run(settings_of(home), run, profile)
    chosen.cancel()
    typer.echo(f"cancelling run {chosen.name}")


@PROFILE.command(
    "longrun profile create site --from site.toml --from .longrun/images.toml",
    "longrun profile create site --from site.toml --set size=trial",
    name="create",
)
def profile_create(
    name: ProfileName,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Set one field of the profile, such as endpoint=https://flyte.example.org. May be repeated.",
        ),
    ] = None,
    sources: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="TOML file with fields of the profile, such as the image digests that `make push` writes. May be repeated; "
            "later files override earlier ones.",
        ),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an existing profile of this name.")] = False,
    home: Home = None,
) -> None:
    """Create a profile from TOML files, from single values, or from both."""
    from workflows.commands.cluster.profile import create

    typer.echo(str(create(settings_of(home), name, sources or [], values or [], replace=replace)))


@PROFILE.command("longrun profile change site --set workers=2", name="change")
def profile_change(
    name: ProfileName,
    values: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="Set one field of the profile, such as workers=2. May be repeated."),
    ],
    home: Home = None,
) -> None:
    """Change single values of a profile."""
    from workflows.commands.cluster.profile import change

    typer.echo(str(change(settings_of(home), name, values)))


@PROFILE.command("longrun profile list", name="list")
def profile_list(home: Home = None, as_json: Json = False) -> None:
    """List the profiles in longrun's home directory."""
    from workflows.commands.cluster.profile import rows
    from workflows.commands.columns import in_columns

    profiles = rows(settings_of(home))
    lines = in_columns([(p["profile"], p["endpoint"], f"{p['project']}/{p['domain']}") for p in profiles], (20, 40))
    print_result(profiles, as_json, lines or ["this home has no profiles yet; create one with: longrun profile create"])


@PROFILE.command("longrun profile show site", name="show")
def profile_show(name: ProfileName, home: Home = None, as_json: Json = False) -> None:
    """Print a profile; it contains references to secrets, never the secrets."""
    from infra.cluster.profiles import read_profile, to_toml, values_of

    chosen = read_profile(settings_of(home).home, name)
    print_result(values_of(chosen), as_json, [to_toml(chosen).rstrip()])
