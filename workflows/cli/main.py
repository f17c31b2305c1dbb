"""The command line `longrun`. Each command imports what it needs when it is called, so that help appears at once."""

import os
import sys
from gc import set_threshold
from pathlib import Path
from traceback import format_exception
from types import TracebackType
from typing import Annotated

import typer

from components.errors import LongrunError, PreflightError, exit_code_of, single_line
from infra.process_end import Stopped, run_and_leave
from workflows.cli import cluster, data, look, models, run, scaling
from workflows.cli.options import open_command
from workflows.cli.panels import PlainGroup, epilog

app = typer.Typer(
    name="longrun",
    cls=PlainGroup,
    help="Train language models from raw text to a registered, documented model.",
    epilog=epilog(["longrun run tiny", "longrun run --help"]),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for panel in (run, look, models, data, scaling, cluster):
    app.add_typer(panel.PANEL.commands)

_options = {"debug": False}
"""The global options that the entry point needs after a command has failed."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("longrun"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version of longrun and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")] = False,
) -> None:
    """Keep the global options, and let the command close what it opens."""
    _options["debug"] = debug
    open_command(context)


def _message(error: BaseException) -> str:
    """The error in one line; of several problems, a line for each. Commands in it call longrun as this process was called."""
    from workflows.commands.hints import as_called, program

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return as_called(_reason(error), commands, program())


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return f"{error if isinstance(error, Stopped) else 'interrupted'}; run the same command again to continue"
    if isinstance(error, PreflightError):
        return str(error)
    if isinstance(error, LongrunError):
        return single_line(error)
    return f"unexpected {type(error).__name__}: {single_line(error)} (at {_innermost(error.__traceback__)})"


def _innermost(trace: TracebackType | None) -> str:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown line"
    file = Path(trace.tb_frame.f_code.co_filename).name
    return f"{file}:{trace.tb_lineno}; for the traceback: longrun --debug COMMAND"


def main() -> None:
    """Entry point of the console script: an error is printed as one line, with `--debug` as a traceback."""
    run_and_leave(_run)


def _run() -> int:
    # Imported objects are never garbage; scanning them in collections cost a tenth of the time of a submission.
    set_threshold(200_000, 50, 50)
    try:
        # Calling `app` itself would install typer's exception hook.
        typer.main.get_command(app)(prog_name="longrun")
    except SystemExit as ended:
        return int(ended.code or 0)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the exit code says which error it was
        sys.stdout.flush()
        sys.stderr.write("".join(format_exception(error)) if _options["debug"] else f"longrun: {_message(error)}\n")
        sys.stderr.flush()
        # After an interruption, threads of Flyte and Ray may still be running; none of them needs an orderly exit.
        os._exit(error.exit_code if isinstance(error, Stopped) else exit_code_of(error))
    return 0
