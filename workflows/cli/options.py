"""What the commands share: options, the settings of a home, and how results are printed."""

import contextlib
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.settings import Settings
    from workflows.commands.doctor import Finding

Home = Annotated[
    str | None,
    typer.Option(
        "--home",
        metavar="DIRECTORY",
        help="Home directory of longrun, which holds runs, artifacts and caches.",
        show_default="$LONGRUN_HOME or .longrun",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="Name of a built-in recipe, or a recipe file: FILE.py or FILE.py:FUNCTION.")
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Id of a run, a unique prefix of an id, or `latest`: the newest run of the kind that the command needs.",
    ),
]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Registered model: NAME (its newest version), NAME/VERSION or NAME@ALIAS. The model after a step: RUN:STEP or "
        "NAME:STEP, such as latest:base or smoke:sft. Or the URI of an artifact, or a directory.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Set one field of the recipe, such as pretraining.learning_rate=0.001. May be repeated.",
    ),
]
Tag = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="KEY=VALUE",
        help="Tag of this run in MLflow and `longrun runs`, such as data=v2. May be repeated.",
    ),
]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Note on this run in MLflow and `longrun runs`.")]
ProfileOption = Annotated[
    str,
    typer.Option("--profile", metavar="NAME", help="Profile of the cluster; required if the home has more than one profile."),
]
OutsideProfile = Annotated[
    str,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Read from the cluster of this profile instead of longrun's home directory, with the profile's credentials.",
    ),
]
On = Annotated[
    str,
    typer.Option("--on", metavar="WHERE", help="Where to run: `here` on this machine, or `cluster` on the profile's cluster."),
]
OnHere = Annotated[str, typer.Option("--on", hidden=True, help="Only `here`; `cluster` is refused with the reason.")]
Follow = Annotated[bool, typer.Option("--follow", help="With --on cluster: print the progress until the run ends.")]
Upload = Annotated[
    bool,
    typer.Option("--upload", help="With --on cluster: upload the local files that the recipe names to the profile's bucket."),
]
MaxUpload = Annotated[float, typer.Option("--max-upload", metavar="GIB", help="Maximum size of what --upload sends, in GiB.")]

STORE, TRACKING = "object_store_endpoint", "mlflow_uri"
"""Services of a cluster that a command reads from, by the names of their profile fields."""

LOCAL_ONLY = {
    "compare-corpora": "it trains two small ladders in minutes; sweep each corpus with: longrun sweep FILE --on cluster",
    "dedup-curve": "it measures sources that this machine can read, also in a bucket",
    "fit": "it fits a local table in seconds; a sweep on a cluster fits its own law: longrun sweep NAME --on cluster",
    "resume-proof": "it kills local worker processes; on a cluster, delete a worker's pod during training",
}
"""Commands that run only on this machine, each with the reason."""


_opened: list[contextlib.ExitStack] = []
"""What to close when the current command ends."""


def open_command(context: typer.Context) -> None:
    """Make sure that whatever the command opens is closed when it ends, also after an error."""
    _opened[:] = [context.with_resource(contextlib.ExitStack())]


def require_here(command: str, on: str) -> None:
    """Raise `ConfigError` unless `on` is `here`; for a command that runs only on this machine."""
    from components.errors import ConfigError

    if on != "here":
        reason = f"{command} runs only on this machine: {LOCAL_ONLY[command]}" if on == "cluster" else "allowed: here"
        raise ConfigError(f"--on {on}: {reason}")


def settings_of(
    home: str | None,
    *,
    artifact_root: str = "",
    mlflow_uri: str = "",
    profile: str = "",
    services: tuple[str, ...] = (STORE, TRACKING),
) -> "Settings":
    """The settings for `--home`, and for `--artifact-root` and `--mlflow-uri` if the command has them.

    With a profile: settings that read from its cluster. Until the command ends, this process can reach the `services` there.
    """
    from infra.settings import settings, settings_from_outside

    chosen = settings(home, artifact_root=artifact_root, mlflow_uri=mlflow_uri)
    if not profile:
        return chosen
    from infra.cluster.profiles import read_profile
    from infra.outside import reached

    outside = _opened[-1].enter_context(reached(read_profile(chosen.home, profile), services))
    return settings_from_outside(chosen, outside)


def print_result(value: Any, as_json: bool, lines: list[str]) -> None:
    """Print `value` as JSON, or else `lines`."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False) if as_json else "\n".join(lines))


def print_findings(findings: "list[Finding]", as_json: bool) -> None:
    """Print one line per finding, with its remedy; exit with code 1 if any finding failed."""
    from workflows.commands.columns import in_columns

    rows = [(f["state"], f["what"], f["found"] + (f"  -> {f['remedy']}" if f["remedy"] else "")) for f in findings]
    print_result(findings, as_json, in_columns(rows, (9, 22)))
    if any(finding["state"] == "failed" for finding in findings):
        raise typer.Exit(1)
