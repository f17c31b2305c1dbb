"""What several files of the command line share: options, the home's settings, and how results are printed."""

import contextlib
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.settings import Settings

Home = Annotated[str | None, typer.Option("--home", help="Where everything is kept.", show_default="$LONGRUN_HOME or .longrun")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
RecipeName = Annotated[str, typer.Argument(help="A recipe's name, or file.py[:function].")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Replace one value of the recipe. May be repeated.")
]
ProfileOption = Annotated[str, typer.Option("--profile", help="The cluster's profile; needed where there is more than one.")]
OutsideProfile = Annotated[
    str, typer.Option("--profile", help="Look at what this profile's cluster has, with the keys that the profile refers to.")
]
On = Annotated[str, typer.Option("--on", help="Where: `here` on this machine, `cluster` on the profile's.")]
Follow = Annotated[bool, typer.Option("--follow", help="On a cluster: show what happens until the run ends.")]
Upload = Annotated[bool, typer.Option("--upload", help="On a cluster: send files of this machine along, into the bucket.")]
MaxUpload = Annotated[float, typer.Option("--max-upload", help="GiB that --upload may send.")]

STORE, TRACKING = "object_store_endpoint", "mlflow_uri"
"""Services of a cluster that a command looks at, as the profile calls them."""

HERE_ALONE = {
    "compare-corpora": "it trains two small ladders in minutes; sweep each corpus with: longrun sweep FILE --on cluster",
    "dedup-curve": "its curve is drawn on this machine from sources that this machine reads, also from a bucket",
    "fit": "it fits a table of this machine in seconds; a sweep on a cluster fits its own: longrun sweep NAME --on cluster",
    "resume-proof": "it kills workers of this machine; on a cluster delete a worker's pod while a run trains",
}
"""Commands that run on this machine alone, each with the reason."""


_opened: list[contextlib.ExitStack] = []
"""What is closed when the present command ends."""


def open_command(context: typer.Context) -> None:
    """Let what the command opens be closed when it ends, however it does."""
    _opened[:] = [context.with_resource(contextlib.ExitStack())]


def require_here(command: str, on: str) -> None:
    """Raise `ConfigError` unless `on` is here, for a command that runs on this machine alone."""
    from components.errors import ConfigError

    if on != "here":
        reason = f"{command} runs on this machine: {HERE_ALONE[command]}" if on == "cluster" else "allowed: here"
        raise ConfigError(f"--on {on}: {reason}")


def settings_of(
    home: str | None,
    *,
    artifact_root: str = "",
    mlflow_uri: str = "",
    profile: str = "",
    services: tuple[str, ...] = (STORE, TRACKING),
) -> "Settings":
    """The settings of `--home`, and of `--artifact-root` and `--mlflow-uri` where a command has them.

    With a profile, the settings that look at its cluster: until the command ends, this process reaches these services of it.
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
