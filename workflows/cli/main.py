"""The command line: `longrun`. Each command imports what it needs when it is called, so that help is instant."""

import json
import os
import sys
from dataclasses import asdict, replace
from gc import set_threshold
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer

from components.errors import LongrunError, single_line
from infra.process_end import run_and_leave
from workflows.cli import cluster as cli_cluster
from workflows.cli.curation import curation
from workflows.cli.options import (
    STORE,
    TRACKING,
    Follow,
    Home,
    Json,
    MaxUpload,
    On,
    OutsideProfile,
    ProfileOption,
    RecipeName,
    Set,
    Upload,
    open_command,
    print_result,
    require_here,
    settings_of,
)
from workflows.cli.scaling import scaling

app = typer.Typer(
    name="longrun",
    help="From raw text to a registered, explained language model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_options = {"debug": False}
"""What the entry point must know of the options when an error has ended the command."""

Model = Annotated[str, typer.Argument(help="NAME (its newest version), NAME/VERSION or NAME@ALIAS.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("longrun"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """From raw text to a registered, explained language model."""
    _options["debug"] = debug
    open_command(context)


@app.command()
def run(
    recipe: RecipeName = "smoke",
    overrides: Set = None,
    until: Annotated[str, typer.Option(help="Last stage to run.")] = "",
    fresh: Annotated[
        list[str] | None, typer.Option(help="Stage or step to make again although it is cached. May be repeated.")
    ] = None,
    parent: Annotated[
        str, typer.Option("--from", metavar="RUN", help="Begin pretraining where that of another run was, by id or `latest`.")
    ] = "",
    at: Annotated[str, typer.Option("--at", help="With --from: the share of that run's training.")] = "80%",
    on: On = "here",
    profile: ProfileOption = "",
    follow: Follow = False,
    upload: Upload = False,
    max_upload: MaxUpload = 2.0,
    artifact_root: Annotated[
        str,
        typer.Option(help="Keep artifacts in a bucket: s3://bucket/prefix.", show_default="as in this home's last run, or home"),
    ] = "",
    mlflow_uri: Annotated[
        str, typer.Option(help="Keep runs and models on an MLflow server.", show_default="as in this home's last run, or home")
    ] = "",
    home: Home = None,
) -> None:
    """Run the whole chain of a recipe; what is already there and unchanged is reused."""
    from workflows.recipe import load_recipe
    from workflows.steps.run import RunOptions
    from workflows.steps.stages import last_stage, steps_of

    chosen = load_recipe(recipe, overrides or [])
    settings = settings_of(home, artifact_root=artifact_root, mlflow_uri=mlflow_uri)
    steps = tuple(step for name in fresh or [] for step in steps_of(name))
    run_options = RunOptions(until=last_stage(until) if until else "", fresh=steps)
    cli_cluster.require_options_fit(on, profile=profile, follow=follow, upload=upload, stores=bool(artifact_root or mlflow_uri))
    if on == "cluster":
        request = cli_cluster.Request(profile=profile, follow=follow, max_upload=max_upload if upload else 0.0)
        cli_cluster.run(chosen, settings, run_options, request, parent=parent, at=at)
    else:
        from workflows.commands.run import run_and_show
        from workflows.steps.branching import find_branch

        branch = find_branch(settings, parent, at) if parent else None
        run_and_show(chosen, settings, replace(run_options, branch=branch))


@app.command("resume-proof")
def resume_proof(
    recipe: RecipeName = "smoke",
    overrides: Set = None,
    steps: Annotated[int, typer.Option(min=8, help="Of the shortened training.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the step at which a worker is killed.")] = 0,
    on: On = "here",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Prove that pretraining survives a kill: train, kill a worker at random, resume at the same and another world size."""
    from workflows.commands import resume_proof as proof
    from workflows.recipe import load_recipe

    require_here("resume-proof", on)
    verdicts = proof.prove(load_recipe(recipe, overrides or []), settings_of(home), steps=steps, seed=seed)
    print_result(proof.as_json(verdicts), as_json, proof.verdict_lines(verdicts))
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def recipes(as_json: Json = False) -> None:
    """List the recipes that come with longrun."""
    from workflows.recipe import BUILT_IN, load_recipe

    known = {name: load_recipe(name).description for name in BUILT_IN}
    print_result(known, as_json, [f"{name:<10}{description}" for name, description in known.items()])


@app.command()
def show(recipe: RecipeName = "smoke", overrides: Set = None, as_json: Json = False) -> None:
    """Print a recipe's whole resolved configuration."""
    from components.extensions import recorded
    from infra.mlflow.tracking import flatten
    from workflows.recipe import load_recipe

    config = recorded(load_recipe(recipe, overrides or []))
    print_result(config, as_json, [f"{name} = {json.dumps(value)}" for name, value in flatten(config).items()])


@app.command()
def runs(profile: OutsideProfile = "", home: Home = None, as_json: Json = False) -> None:
    """List the runs of this home, newest last; or those on a profile's cluster."""
    from workflows.commands.columns import in_columns
    from workflows.commands.runs import list_runs

    rows = list_runs(settings_of(home, profile=profile, services=(STORE,)))
    words = [
        [*(str(row[name]) for name in ("run", "recipe", "state")), f"{row['made']} made, {row['cached']} cached"] for row in rows
    ]
    lines = in_columns(words, (22, 12, 12))
    print_result(rows, as_json, lines or ["no runs in this home yet; start one with: longrun run"])


@app.command()
def logs(
    run: Annotated[str, typer.Argument(help="A run's id, the start of one, or `latest`.")] = "latest",
    step: Annotated[str | None, typer.Argument(help="A step, to see what it and its libraries printed.")] = None,
    worker: Annotated[
        int | None, typer.Option("--worker", min=0, help="Of a step on a cluster, this worker's log instead, from 0.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Of a run on a cluster, also what Flyte and Ray print.")] = False,
    profile: ProfileOption = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the events of a run, or the log of one step; of a run on a cluster, what its pods print until they end.

    The exit code is 1 where the run has failed, and 0 where it has not, goes on, or is read with --json.
    """
    from components.errors import ConfigError
    from workflows.commands.cluster.runs import find_run
    from workflows.commands.runs import WantedLog

    if worker is not None and step is None:
        raise ConfigError("--worker is a worker of a step: longrun logs RUN STEP --worker N")
    chosen = find_run(settings_of(home), run, profile)
    wanted = WantedLog(step=step or "", worker=worker, everything=everything)
    if as_json:
        # a program finds in what it reads how the run ended
        print_result(chosen.log_json(wanted), as_json, [])
        return
    for line in chosen.log_lines(wanted):
        typer.echo(line)
    if reason := chosen.failure():
        typer.echo(reason, err=True)
        raise typer.Exit(1)


@app.command()
def batch(
    run: Annotated[str, typer.Argument(help="A run's id, the start of one, or `latest`.")],
    step: Annotated[int, typer.Argument(help="Of its pretraining, from 1.")],
    profile: OutsideProfile = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print the documents that a step of pretraining saw."""
    from workflows.commands.batch import batch as batch_of
    from workflows.commands.batch import batch_lines

    rows = batch_of(settings_of(home, profile=profile, services=(STORE,)), run, step)
    print_result([asdict(row) for row in rows], as_json, batch_lines(rows))


@app.command()
def inspect(
    corpus: Annotated[
        str,
        typer.Argument(
            help="A corpus: its folder, artifacts/STEP/KEY/CONTENT, s3://…/artifacts/STEP/KEY/CONTENT, or a run's id or `latest`."
        ),
    ] = "latest",
    output: Annotated[Path | None, typer.Option(help="File of the page.", show_default="below the home")] = None,
    profile: OutsideProfile = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write one HTML page about a corpus: counts, distributions, samples before and after each step, clusters of duplicates."""
    from workflows.commands.inspect import inspect as write_page
    from workflows.commands.inspect import inspect_lines

    counts = write_page(settings_of(home, profile=profile, services=(STORE,)), corpus, output)
    print_result(asdict(counts), as_json, inspect_lines(counts))


@app.command()
def models(profile: OutsideProfile = "", home: Home = None, as_json: Json = False) -> None:
    """List the registered models."""
    from workflows.commands.columns import in_columns
    from workflows.commands.models import list_models

    rows = list_models(settings_of(home, profile=profile, services=(TRACKING,)))
    lines = in_columns([(r["model"], ", ".join(r["aliases"]), r["digest"][:12], r["place"]) for r in rows], (20, 14))
    print_result(rows, as_json, lines or ["no registered models in this home yet; make one with: longrun run"])


@app.command()
def lineage(model: Model, profile: OutsideProfile = "", home: Home = None, as_json: Json = False) -> None:
    """Print what a model was made from, down to the raw sources."""
    from workflows.commands.models import lineage_lines, model_lineage

    made_from = model_lineage(settings_of(home, profile=profile), model)
    print_result(made_from.as_json(), as_json, lineage_lines(made_from))


@app.command()
def verify(model: Model, profile: OutsideProfile = "", home: Home = None, as_json: Json = False) -> None:
    """Hash everything below a model again, raw sources included, and say what differs."""
    from workflows.commands.models import verify_model

    verified = verify_model(settings_of(home, profile=profile), model)
    lines = [f"{uri}: {difference}" for uri, differences in verified.differences.items() for difference in differences]
    counts = f"{verified.artifacts} artifacts, {verified.files} files and {verified.raw_files} raw files"
    counts += f", with {verified.attempts} later attempts," if verified.attempts else ""
    print_result(verified.as_json(), as_json, [*lines, f"{counts} hashed; {len(lines)} differences"])
    if lines:
        raise typer.Exit(1)


@app.command()
def generate(
    model: Model,
    prompt: Annotated[str, typer.Argument(help="What to answer, or with --raw to continue.")],
    raw: Annotated[bool, typer.Option("--raw", help="Continue the text instead of answering in the chat format.")] = False,
    max_new_tokens: Annotated[int, typer.Option(min=1)] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 always takes the likeliest token.")] = 0.0,
    seed: int = 0,
    profile: OutsideProfile = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let a registered model answer a prompt."""
    from workflows.commands.generate import Prompt, answer

    request = Prompt(text=prompt, raw=raw, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    text = answer(settings_of(home, profile=profile), model, request)
    print_result({"model": model, "prompt": prompt, "text": text}, as_json, [text])


@app.command()
def gc(
    profile: OutsideProfile = "",
    home: Home = None,
    keep: Annotated[list[str] | None, typer.Option(help="A run whose artifacts stay too. May be repeated.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete artifacts that no registered model needs; asks first."""
    from components.errors import ConfigError
    from workflows.commands.gc import delete_artifacts, unneeded

    if profile:
        raise ConfigError(
            "gc deletes what is in this home alone: in a bucket others may need it; use the bucket's lifecycle rules, and leave "
            "prefixes that hold registered models alone"
        )
    chosen = settings_of(home)
    waste = unneeded(chosen, keep or [])
    rows, lines = [asdict(entry) for entry in waste], [f"{entry.uri}  {entry.bytes / 2**20:.1f} MiB" for entry in waste]
    if not waste:
        print_result(rows, as_json, ["nothing to delete: everything here is needed by a registered model or kept"])
        return
    print_result(rows, as_json, lines)
    if not yes and not typer.confirm(f"Delete these {len(waste)} directories?", err=as_json):
        raise typer.Exit(1)
    delete_artifacts(chosen, waste)


@app.command()
def doctor(
    cluster: Annotated[bool, typer.Option("--cluster", help="Look at a cluster and the services on it instead.")] = False,
    profile: ProfileOption = "",
    recipe: Annotated[str, typer.Option("--recipe", help="The recipe whose GPUs the cluster must have.")] = "smoke",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Look whether this machine and this installation, or a cluster, can run longrun."""
    if cluster:
        from infra.cluster.profiles import read_profile
        from workflows.commands.cluster.doctor import examine_cluster
        from workflows.recipe import load_recipe

        findings = examine_cluster(read_profile(settings_of(home).home, profile), load_recipe(recipe))
    else:
        from workflows.commands.doctor import examine

        findings = examine(settings_of(home))
    cli_cluster.print_findings(findings, as_json)


app.add_typer(cli_cluster.profile, name="profile")
app.command()(cli_cluster.status)
app.command()(cli_cluster.cancel)
app.command()(cli_cluster.deploy)
app.add_typer(scaling)
app.add_typer(curation)


def _message(error: BaseException) -> tuple[str, int]:
    """The error in one line, and the exit code: 2 for usage, 1 for a failed run."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; run the same command again to go on", 130
    if isinstance(error, LongrunError):
        return single_line(error), error.exit_code
    return f"unexpected {type(error).__name__}: {single_line(error)} (at {_innermost(error.__traceback__)})", 1


def _innermost(trace: TracebackType | None) -> str:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}; --debug shows all" if trace else "unknown"


def main() -> None:
    """Entry point of the console script: errors are one line, without a traceback unless `--debug` asks for it."""
    run_and_leave(_run)


def _run() -> int:
    # Objects that imports make are never garbage, and collecting among them cost a tenth of a submission
    set_threshold(200_000, 50, 50)
    try:
        # Calling `app` itself would put typer's own exception hook in place.
        typer.main.get_command(app)(prog_name="longrun")
    except SystemExit as ended:
        return int(ended.code or 0)
    except (Exception, KeyboardInterrupt) as error:
        if _options["debug"]:
            raise
        message, code = _message(error)
        sys.stdout.flush()
        sys.stderr.write(f"longrun: {message}\n")
        sys.stderr.flush()
        # Flyte's and Ray's threads may still be at work after an interruption; nothing they hold needs an orderly end.
        os._exit(code)
    return 0
