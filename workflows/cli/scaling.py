"""The commands about scaling laws: plan by one, fit one, sweep for one, compare two."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workflows.cli.options import (
    STORE,
    Follow,
    Home,
    Json,
    MaxUpload,
    On,
    OutsideProfile,
    ProfileOption,
    Upload,
    print_result,
    require_here,
    settings_of,
)

if TYPE_CHECKING:
    from components.training.config import Choices

scaling = typer.Typer()
"""Its commands stand beside all others."""


@scaling.command()
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
    """Plan the training for a compute budget by a scaling law: shape, tokens, batch and learning rate."""
    from components.scaling.config import Accelerators
    from workflows.commands.plan import plan_lines, proposal_for

    made = proposal_for(
        compute=compute,
        law=law,
        model=model,
        choices=_choices(tokens, sequence_length, micro_batch),
        vocab_size=vocabulary,
        accelerators=Accelerators(gpus=gpus, gpu=gpu, mfu=mfu, price=price) if gpus is not None else None,
    )
    print_result(made.as_json(), as_json, plan_lines(made))


def _choices(tokens: float | None, sequence_length: int | None, micro_batch: int) -> "Choices":
    from components.scaling.planning.planner import SEQUENCE_LENGTH
    from components.training.config import Choices, TrainingConfig

    choices = Choices(tokens=round(tokens) if tokens else None, sequence_length=sequence_length)
    micro_batch_tokens = micro_batch * (sequence_length or SEQUENCE_LENGTH)
    return replace(choices, training=TrainingConfig(micro_batch_tokens=micro_batch_tokens))


@scaling.command()
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
    on: On = "here",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Fit scaling laws to a table of runs: IsoFLOP profiles, L(N, D), and the laws of batch and learning rate."""
    from components.scaling.config import FitConfig
    from infra.variables import keep_caches
    from workflows.commands.fit import fit_lines, fit_table

    require_here("fit", on)
    keep_caches(settings_of(home).home)
    fitted = fit_table(
        table,
        columns,
        FitConfig(scale=scale, leave_out=leave_out, rounds=rounds, seed=seed),
        output=output,
        base=base,
        report=report,
    )
    print_result(fitted.as_json(), as_json, fit_lines(fitted))


@scaling.command()
def sweep(
    name: Annotated[str, typer.Argument(help="A sweep's name, or file.py[:function].")] = "smoke-ladder",
    on: On = "here",
    profile: ProfileOption = "",
    follow: Follow = False,
    upload: Upload = False,
    max_upload: MaxUpload = 2.0,
    home: Home = None,
) -> None:
    """Train a ladder of small models, fit a law to it, and hold a larger training against the law's prediction."""
    from workflows.cli import cluster
    from workflows.sweeps.sweep import load_sweep

    cluster.require_options_fit(on, profile=profile, follow=follow, upload=upload, stores=False)
    if on == "cluster":
        request = cluster.Request(profile=profile, follow=follow, max_upload=max_upload if upload else 0.0)
        cluster.sweep(load_sweep(name), settings_of(home), request)
    else:
        from workflows.commands.sweep import sweep_and_show

        sweep_and_show(load_sweep(name), settings_of(home))


@scaling.command()
def law(
    run: Annotated[str, typer.Argument(help="A sweep's run, by its id, the start of one, or `latest`.")] = "latest",
    profile: OutsideProfile = "",
    home: Home = None,
) -> None:
    """Print the laws and the verdict of a finished sweep, and where its files are."""
    from workflows.commands.sweep import sweep_lines
    from workflows.steps.journals import journal_of

    settings = settings_of(home, profile=profile, services=(STORE,))
    typer.echo("\n".join(sweep_lines(journal_of(settings, run), settings)).strip())


@scaling.command("compare-corpora")
def compare_corpora(
    first: Annotated[str, typer.Argument(metavar="A", help="A file or folder of texts, or python-environment:DOMAIN.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    compute: Annotated[float, typer.Option(help="Largest budget of each ladder in FLOPs.")] = 1.2e12,
    on: On = "here",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Train a small ladder on each of two corpora, and compare how their laws split a budget and what it buys."""
    from workflows.commands.compare_corpora import compare_corpora as compared
    from workflows.commands.compare_corpora import comparison_lines

    require_here("compare-corpora", on)
    comparison = compared((first, second), compute, settings_of(home), quiet=as_json)
    print_result(comparison, as_json, comparison_lines(comparison))


@scaling.command()
def sweeps(as_json: Json = False) -> None:
    """List the sweeps that come with longrun."""
    from workflows.sweeps.sweep import BUILT_IN, load_sweep

    known = {name: load_sweep(name).description for name in BUILT_IN}
    print_result(known, as_json, [f"{name:<14}{description}" for name, description in known.items()])
