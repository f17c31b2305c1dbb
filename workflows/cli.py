"""The command line: `longrun`. Each command imports what it needs when it is called, so that help is instant."""

import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from components.errors import LongrunError

if TYPE_CHECKING:
    from infra.settings import Settings

app = typer.Typer(
    name="longrun",
    help="From raw text to a registered, explained language model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

profile = typer.Typer(no_args_is_help=True, help="Keep profiles: where a cluster is, and what its tasks run in.")
app.add_typer(profile, name="profile")

_options = {"debug": False}

Home = Annotated[str | None, typer.Option("--home", help="Where everything is kept.", show_default="$LONGRUN_HOME or .longrun")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
RecipeName = Annotated[str, typer.Argument(help="A recipe's name, or file.py[:function].")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="Replace one value of the recipe. May be repeated.")
]
ProfileName = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name.")]
Model = Annotated[str, typer.Argument(help="NAME (its newest version), NAME/VERSION or NAME@ALIAS.")]


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("longrun"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """From raw text to a registered, explained language model."""
    _options["debug"] = debug


@app.command()
def run(
    recipe: RecipeName = "smoke",
    overrides: Set = None,
    until: Annotated[str, typer.Option(help="Last stage to run.")] = "",
    fresh: Annotated[
        list[str] | None, typer.Option(help="Stage or step to make again although it is cached. May be repeated.")
    ] = None,
    home: Home = None,
) -> None:
    """Run the whole chain of a recipe; what is already there and unchanged is reused."""
    from workflows.command_run import run_and_show
    from workflows.recipe import load_recipe
    from workflows.stages import last_stage, steps_of

    chosen = load_recipe(recipe, overrides or [])
    again = tuple(step for name in fresh or [] for step in steps_of(name))
    run_and_show(chosen, _settings(home), until=last_stage(until) if until else "", fresh=again)


@app.command()
def recipes(as_json: Json = False) -> None:
    """List the recipes that come with longrun."""
    from workflows.recipe import BUILT_IN, load_recipe

    known = {name: load_recipe(name).description for name in BUILT_IN}
    _print(known, as_json, [f"{name:<10}{description}" for name, description in known.items()])


@app.command()
def show(recipe: RecipeName = "smoke", overrides: Set = None, as_json: Json = False) -> None:
    """Print a recipe's whole resolved configuration."""
    import dataclasses

    from infra.tracking import flatten
    from workflows.recipe import load_recipe

    config = dataclasses.asdict(load_recipe(recipe, overrides or []))
    _print(config, as_json, [f"{name} = {json.dumps(value)}" for name, value in flatten(config).items()])


@app.command()
def plan(
    compute: Annotated[float | None, typer.Option(help="Budget in FLOPs, such as 1e20.")] = None,
    law: Annotated[str, typer.Option(help="A published law's name, or a law file that `longrun fit` wrote.")] = "deepseek",
    model: Annotated[str, typer.Option(help="7b or 67b: what the paper used, beside what the law says.")] = "",
    tokens: Annotated[float | None, typer.Option(help="Training tokens, instead of the law's.")] = None,
    sequence_length: Annotated[int | None, typer.Option(help="Tokens in a sequence.", show_default="4096")] = None,
    vocabulary: Annotated[int, typer.Option(help="Rows of the embedding.")] = 102_400,
    gpus: Annotated[int | None, typer.Option(help="Accelerators to lay the plan out on.")] = None,
    gpu: Annotated[str, typer.Option(help="Which accelerator.")] = "h100",
    mfu: Annotated[float, typer.Option(help="Share of its peak that training reaches.")] = 0.4,
    price: Annotated[float | None, typer.Option(help="Of one accelerator for an hour.")] = None,
    micro_batch: Annotated[int, typer.Option(help="Sequences that a replica takes at once.")] = 1,
    as_json: Json = False,
) -> None:
    """Plan shape, tokens, batch and learning rate for a compute budget by a scaling law."""
    from components.scaling.config import Choices, Cluster
    from workflows.planning import plan_lines, proposal_for

    made = proposal_for(
        compute=compute,
        law=law,
        model=model,
        choices=Choices(tokens=round(tokens) if tokens else None, sequence_length=sequence_length, micro_batch_size=micro_batch),
        vocabulary=vocabulary,
        cluster=Cluster(gpus=gpus, gpu=gpu, mfu=mfu, price=price) if gpus is not None else None,
    )
    _print(made.as_json(), as_json, plan_lines(made))


@app.command()
def fit(
    table: Annotated[Path, typer.Argument(help="CSV file of finished runs, with a header.")],
    columns: Annotated[
        str,
        typer.Option(help="Which column is what: n=…,d=…,loss=… (c= in place of one; batch=, learning_rate= for their laws)."),
    ],
    scale: Annotated[str, typer.Option(help="What n counts.")] = "parameters",
    leave_out: Annotated[
        int | None,
        typer.Option(help="Runs of the least D/N that the parametric fit leaves out.", show_default="those that spoil it"),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    output: Annotated[Path | None, typer.Option(help="Write the law here, for `longrun plan --law`.")] = None,
    base: Annotated[str, typer.Option(help="Law that the output takes from what is not fitted here.")] = "",
    report: Annotated[Path | None, typer.Option(help="Folder for the report and its plots, as HTML and PNG.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Fit scaling laws to a table of runs: IsoFLOP profiles, L(N, D), and the laws of batch and learning rate."""
    from components.scaling.config import FitConfig
    from infra.settings import contain
    from workflows.fitting import fit_lines, fit_table

    contain(_settings(home).home)
    made = fit_table(
        table,
        columns,
        FitConfig(scale=scale, leave_out=leave_out, rounds=rounds, seed=seed),
        output=output,
        base=base,
        report=report,
    )
    _print(made.as_json(), as_json, fit_lines(made))


@app.command()
def sweep(
    name: Annotated[str, typer.Argument(help="A sweep's name, or file.py[:function].")] = "smoke-ladder", home: Home = None
) -> None:
    """Train a ladder of small models, fit a law to it, and hold a larger training against the law's prediction."""
    from workflows.command_sweep import sweep_and_show
    from workflows.sweep import load_sweep

    sweep_and_show(load_sweep(name), _settings(home))


@app.command()
def sweeps(as_json: Json = False) -> None:
    """List the sweeps that come with longrun."""
    from workflows.sweep import BUILT_IN, load_sweep

    known = {name: load_sweep(name).description for name in BUILT_IN}
    _print(known, as_json, [f"{name:<14}{description}" for name, description in known.items()])


@app.command()
def runs(home: Home = None, as_json: Json = False) -> None:
    """List the runs of this home, newest last."""
    from workflows.inspection import list_runs

    rows = list_runs(_settings(home))
    lines = [f"{r['run']:<22}{r['recipe']:<12}{r['state']:<12}{r['made']} made, {r['cached']} cached" for r in rows]
    _print(rows, as_json, lines or ["no runs in this home yet; start one with: longrun run"])


@app.command()
def logs(
    run: Annotated[str, typer.Argument(help="A run's id, the start of one, or `latest`.")] = "latest",
    stage: Annotated[str | None, typer.Argument(help="A step, to see what it and its libraries printed.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the events of a run, or the log of one step."""
    from workflows.inspection import event_lines, read_log
    from workflows.journal import find_journal

    journal = find_journal(_settings(home).runs, run)
    if stage:
        _print(read_log(journal, stage), as_json, [read_log(journal, stage)])
    else:
        _print(journal.events(), as_json, event_lines(journal.events()))


@app.command()
def batch(
    run: Annotated[str, typer.Argument(help="A run's id, the start of one, or `latest`.")],
    step: Annotated[int, typer.Argument(help="Of its pretraining, from 1.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print the documents that a step of pretraining saw."""
    from workflows import batch as seen

    found = seen.batch(_settings(home), run, step)
    _print(found, as_json, seen.batch_lines(found))


@app.command()
def models(home: Home = None, as_json: Json = False) -> None:
    """List the registered models."""
    from workflows.inspection import list_models

    rows = list_models(_settings(home))
    lines = [f"{r['model']:<20}{', '.join(r['aliases']):<14}{r['digest'][:12]}  {r['place']}" for r in rows]
    _print(rows, as_json, lines or ["no registered models in this home yet; make one with: longrun run"])


@app.command()
def lineage(model: Model, home: Home = None, as_json: Json = False) -> None:
    """Print what a model was made from, down to the raw sources."""
    from workflows.inspection import lineage_lines, model_tree

    tree = model_tree(_settings(home), model)
    _print(tree, as_json, lineage_lines(tree))


@app.command()
def verify(model: Model, home: Home = None, as_json: Json = False) -> None:
    """Hash everything below a model again, raw sources included, and say what differs."""
    from workflows.inspection import verify_model

    found = verify_model(_settings(home), model)
    lines = [f"{place}: {difference}" for place, differences in found.differences.items() for difference in differences]
    summary = f"{found.artifacts} artifacts, {found.files} files and {found.raw_files} raw files hashed; {len(lines)} differences"
    _print({**found.as_json()}, as_json, [*lines, summary])
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
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Let a registered model answer a prompt."""
    from workflows.inspection import answer

    text = answer(_settings(home), model, prompt, raw=raw, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    _print({"model": model, "prompt": prompt, "text": text}, as_json, [text])


@app.command()
def gc(
    home: Home = None,
    keep: Annotated[list[str] | None, typer.Option(help="A run whose artifacts stay too. May be repeated.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete artifacts that no registered model needs; asks first."""
    from workflows.inspection import delete_artifacts, unneeded

    chosen = _settings(home)
    waste = unneeded(chosen, keep or [])
    lines = [f"{w['uri']}  {w['bytes'] / 2**20:.1f} MiB" for w in waste]
    if not waste:
        _print(waste, as_json, ["nothing to delete: everything here is needed by a registered model or kept"])
        return
    _print(waste, as_json, lines)
    if not yes and not typer.confirm(f"Delete these {len(waste)} directories?", err=as_json):
        raise typer.Exit(1)
    delete_artifacts(chosen, waste)


@app.command()
def doctor(
    cluster: Annotated[bool, typer.Option("--cluster", help="Look at a cluster and the services on it instead.")] = False,
    profile: Annotated[str, typer.Option("--profile", help="The cluster's profile; needed where there is more than one.")] = "",
    recipe: Annotated[str, typer.Option("--recipe", help="The recipe whose GPUs the cluster must have.")] = "smoke",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Look whether this machine and this installation, or a cluster, can run longrun."""
    if cluster:
        from infra.profiles import read_profile
        from workflows.cluster_doctor import examine_cluster
        from workflows.recipe import load_recipe

        findings = examine_cluster(read_profile(_settings(home).home, profile), load_recipe(recipe))
    else:
        from workflows.doctor import examine

        findings = examine(_settings(home))
    lines = [f"{f['state']:<9}{f['what']:<22}{f['found']}" + (f"  -> {f['remedy']}" if f["remedy"] else "") for f in findings]
    _print(findings, as_json, lines)
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
    source: Annotated[Path | None, typer.Option("--from", help="A TOML file to begin with.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a profile of that name.")] = False,
    home: Home = None,
) -> None:
    """Make a profile from a file, from single values, or from both."""
    from workflows.command_profile import create

    typer.echo(str(create(_settings(home), name, source, values or [], replace=replace)))


@profile.command("list")
def profile_list(home: Home = None, as_json: Json = False) -> None:
    """List the profiles of this home."""
    from workflows.command_profile import rows

    found = rows(_settings(home))
    lines = [f"{r['profile']:<20}{r['endpoint']:<40}{r['project']}/{r['domain']}" for r in found]
    _print(found, as_json, lines or ["no profiles in this home yet; make one with: longrun profile create"])


@profile.command("show")
def profile_show(name: ProfileName, home: Home = None, as_json: Json = False) -> None:
    """Print a profile. It holds no secrets, only where they are kept."""
    import dataclasses

    from infra.profiles import read_profile, to_toml

    chosen = read_profile(_settings(home).home, name)
    _print(dataclasses.asdict(chosen), as_json, [to_toml(chosen).rstrip()])


def _settings(home: str | None) -> "Settings":
    from infra.settings import settings

    return settings(home)


def _print(value: Any, as_json: bool, lines: list[str]) -> None:
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False) if as_json else "\n".join(lines))


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _message(error: BaseException) -> tuple[str, int]:
    """What went wrong in one line, and the exit code: 2 for usage, 1 for a failed run."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; run the same command again to go on", 130
    if isinstance(error, LongrunError):
        return " ".join(str(error).split()), error.exit_code
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())} (at {_innermost(error.__traceback__)})", 1


def _innermost(trace: TracebackType | None) -> str:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}; --debug shows all" if trace else "unknown"


def main() -> None:
    """Entry point of the console script: errors are one line, without a traceback unless `--debug` asks for it."""
    try:
        # Calling `app` itself would put typer's own exception hook in place.
        typer.main.get_command(app)(prog_name="longrun")
    except (Exception, KeyboardInterrupt) as error:
        if _options["debug"]:
            raise
        message, code = _message(error)
        sys.stdout.flush()
        sys.stderr.write(f"longrun: {message}\n")
        sys.stderr.flush()
        # Flyte's and Ray's threads may still be at work after an interruption; nothing they hold needs an orderly end.
        os._exit(code)


if __name__ == "__main__":
    main()
