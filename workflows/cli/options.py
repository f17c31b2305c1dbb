"""What several files of the command line share: options, the home's settings, and how results are printed."""

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


def settings_of(home: str | None, *, artifact_root: str = "", mlflow_uri: str = "") -> "Settings":
    """The settings of `--home`, and of `--artifact-root` and `--mlflow-uri` where a command has them."""
    from infra.settings import settings

    return settings(home, artifact_root=artifact_root, mlflow_uri=mlflow_uri)


def print_result(value: Any, as_json: bool, lines: list[str]) -> None:
    """Print `value` as JSON, or else `lines`."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False) if as_json else "\n".join(lines))
