"""What the modules of the command line share: options, the settings that they choose, and how a result is printed."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.settings import Settings

Home = Annotated[str | None, typer.Option("--home", help="Where everything is kept.", show_default="$LONGRUN_HOME or .longrun")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def chosen_settings(home: str | None) -> "Settings":
    """The settings of `--home`."""
    from infra.settings import settings

    return settings(home)


def show(value: Any, as_json: bool, lines: list[str]) -> None:
    """Print a result as JSON, or as text."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False) if as_json else "\n".join(lines))
