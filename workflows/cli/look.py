"""Commands that show runs: `runs`, `report`, `status` and `logs`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workflows.cli.options import STORE, Home, Json, OutsideProfile, ProfileOption, RunName, print_result, settings_of
from workflows.cli.panels import Panel

PANEL = Panel("Look at runs")


@PANEL.command("longrun runs", "longrun runs --profile site")
def runs(profile: OutsideProfile = "", home: Home = None, as_json: Json = False) -> None:
    """List the runs in longrun's home directory, newest last; with --profile, those on a cluster.

    For each: state, duration, steps, the model that came out, its main figure, why it failed, and what was set.
    """
    from workflows.commands.runs import list_runs, run_lines

    listed = list_runs(settings_of(home, profile=profile, services=(STORE,)))
    none = ["this home has no runs yet; start one with: longrun run"]
    print_result([asdict(run) for run in listed], as_json, run_lines(listed) or none)


@PANEL.command("longrun report", "longrun report latest --output report.html")
def report(
    run: RunName = "latest",
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="HTML file to write.", show_default="report.html in the directory of the run"),
    ] = None,
    profile: OutsideProfile = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write an HTML page about a run: curves of its training runs, data, checks, evaluation, time and memory of its steps.

    A run also writes it when it ends. Works while the run is training.
    """
    from workflows.commands.report import report_path

    path = report_path(settings_of(home, profile=profile, services=(STORE,)), run, output)
    print_result({"report": str(path)}, as_json, [str(path)])


@PANEL.command("longrun status", "longrun status latest --json")
def status(run: RunName = "latest", profile: ProfileOption = "", home: Home = None, as_json: Json = False) -> None:
    """Show the state of a run; on a cluster, also of each step and what it is waiting for."""
    from workflows.commands.cluster.runs import find_run

    shown = find_run(settings_of(home), run, profile).status()
    print_result(shown.as_json, as_json, shown.lines)


@PANEL.command("longrun logs", "longrun logs latest pretraining", "longrun logs latest pretraining --worker 0")
def logs(
    run: RunName = "latest",
    step: Annotated[
        str | None, typer.Argument(metavar="STEP", help="Step whose log to print; without it, the events of the run.")
    ] = None,
    worker: Annotated[
        int | None, typer.Option("--worker", min=0, help="On a cluster: print the log of this worker of the step, from 0.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="On a cluster: include the lines that Flyte and Ray print themselves.")
    ] = False,
    profile: ProfileOption = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print the events of a run, or one step: its inputs, configuration, figures, warnings, time and log.

    On a cluster, prints the output of the run's pods until they end. If the run has failed, exits with its code, except with
    --json.
    """
    from components.errors import ConfigError
    from workflows.commands.cluster.runs import find_run
    from workflows.commands.runs import WantedLog

    if worker is not None and step is None:
        raise ConfigError("--worker needs a step: longrun logs RUN STEP --worker N")
    chosen = find_run(settings_of(home), run, profile, step or "")
    wanted = WantedLog(step=step or "", worker=worker, everything=everything)
    if as_json:
        # A program reads from the events how the run ended.
        print_result(chosen.log_json(wanted), as_json, [])
        return
    for line in chosen.log_lines(wanted):
        typer.echo(line)
    if failure := chosen.failure():
        typer.echo(failure.message, err=True)
        raise typer.Exit(failure.exit_code)
