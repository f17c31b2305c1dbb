"""Commands about scaling laws: `plan`, `fit`, `sweep`, `sweeps`, `law` and `compare-corpora`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workflows.cli import on_cluster
from workflows.cli.options import (
    STORE,
    Follow,
    Home,
    Json,
    MaxUpload,
    Note,
    On,
    OnHere,
    OutsideProfile,
    ProfileOption,
    RunName,
    Tag,
    Upload,
    print_result,
    require_here,
    settings_of,
)
from workflows.cli.panels import Panel

if TYPE_CHECKING:
    from components.training.config import Choices

PANEL = Panel("Scaling laws")


@PANEL.command(
    "longrun plan --compute 1e21",
    "longrun plan --minutes 30",
    "longrun plan laptop --hours 1.5",
    "longrun plan --hours 24 --gpus 64 --gpu h100 --price 2.5",
    "longrun plan --model 7b --gpus 512 --gpu h100",
)
def plan(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Recipe to plan for; only with --minutes or --hours and without --gpus.",
            show_default=False,
        ),
    ] = "",
    minutes: Annotated[
        float | None, typer.Option(help="Time of the training run in minutes, on this machine or on --gpus accelerators.")
    ] = None,
    hours: Annotated[float | None, typer.Option(help="Time of the training run in hours, instead of --minutes.")] = None,
    compute: Annotated[float | None, typer.Option(help="Compute budget of the training run in FLOPs, such as 1e20.")] = None,
    law: Annotated[
        str,
        typer.Option(
            metavar="LAW",
            help="Scaling law: the name of a published law, or a law file that `longrun fit` or `longrun sweep` wrote.",
            show_default="deepseek; for a time on this machine, the built-in law of the text of Python packages",
        ),
    ] = "",
    model: Annotated[str, typer.Option(help="Instead of a budget: a model of the DeepSeek LLM paper, 7b or 67b.")] = "",
    tokens: Annotated[float | None, typer.Option(help="Number of training tokens, instead of what the law recommends.")] = None,
    text_bytes: Annotated[
        float | None,
        typer.Option(
            help="Size of the training text in UTF-8 bytes, to compute the number of epochs; needs --minutes or --hours.",
            show_default="size in the recipe's last run; none with --gpus",
        ),
    ] = None,
    sequence_length: Annotated[int | None, typer.Option(help="Number of tokens in a sequence.", show_default="4096")] = None,
    vocabulary: Annotated[int, typer.Option(help="Vocabulary size: number of rows of the embedding.")] = 102_400,
    gpus: Annotated[int | None, typer.Option(help="Number of accelerators to train on.")] = None,
    gpu: Annotated[str, typer.Option(help="Kind of accelerator, such as h100.")] = "h100",
    mfu: Annotated[
        float, typer.Option(help="Model FLOPs utilisation: fraction of the peak FLOPs of an accelerator that training reaches.")
    ] = 0.4,
    price: Annotated[float | None, typer.Option(help="Price of one accelerator per hour, in any currency.")] = None,
    micro_batch: Annotated[int, typer.Option(help="Number of sequences that one replica of the model processes at a time.")] = 1,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure the training speed of this machine again, which takes at most a minute.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Plan a training run for a given time or compute budget: model shape, tokens, batch size and learning rate.

    A scaling law gives the run with the lowest predicted loss. With --gpus, also plans the parallelism layout, time, cost and
    energy.
    """
    from components.scaling.config import Accelerators
    from workflows.commands.plan import plan_lines, proposal_for
    from workflows.commands.timed.planning import TimeRequest, plan_for_time

    accelerators = Accelerators(gpus=gpus, gpu=gpu, mfu=mfu, price=price) if gpus is not None else None
    request = TimeRequest(
        recipe=recipe,
        minutes=minutes,
        hours=hours,
        law=law,
        text_bytes=text_bytes,
        calibrate=calibrate,
        accelerators=accelerators,
        choices=_choices(tokens, sequence_length, micro_batch),
        vocab_size=vocabulary,
        others={"--compute": compute is not None, "--model": bool(model), "--tokens": tokens is not None},
    )
    if request.seconds is not None:
        answer = plan_for_time(request, settings_of(home), say=lambda words: typer.echo(words, err=True))
        print_result(answer.as_json(), as_json, answer.lines())
        return
    made = proposal_for(
        compute=compute,
        law=law or "deepseek",
        model=model,
        choices=request.choices,
        vocab_size=vocabulary,
        accelerators=accelerators,
    )
    print_result(made.as_json(), as_json, plan_lines(made))


def _choices(tokens: float | None, sequence_length: int | None, micro_batch: int) -> "Choices":
    from components.scaling.planning.planner import SEQUENCE_LENGTH
    from components.training.config import Choices, TrainingConfig

    choices = Choices(tokens=round(tokens) if tokens else None, sequence_length=sequence_length)
    micro_batch_tokens = micro_batch * (sequence_length or SEQUENCE_LENGTH)
    return replace(choices, training=TrainingConfig(micro_batch_tokens=micro_batch_tokens))


@PANEL.command(
    "longrun fit runs.csv --columns n=parameters,d=tokens,loss=loss --output law.json",
    "longrun fit runs.csv --columns n=parameters,c=flops,loss=loss --report report",
)
def fit(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV file with a header and one finished run per line.")],
    columns: Annotated[
        str,
        typer.Option(
            metavar="KEY=COLUMN,…",
            help="Columns of the table by quantity. Required: loss=, and two of n= (model scale), d= (tokens), c= (FLOPs). "
            "Optional: batch= and learning_rate=, to fit their laws as well.",
        ),
    ],
    scale: Annotated[
        str,
        typer.Option(
            metavar="SCALE", help="Meaning of column n: parameters, non_embedding_parameters or non_embedding_flops_per_token."
        ),
    ] = "parameters",
    leave_out: Annotated[
        int | None,
        typer.Option(
            help="Number of runs with the fewest tokens per model scale to exclude from the parametric fit.",
            show_default="as many as distort the fit",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Number of bootstrap rounds.")] = 1000,
    seed: Annotated[int, typer.Option(help="Random seed of the bootstrap.")] = 0,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Law file to write, for use with `longrun plan --law FILE`.")
    ] = None,
    base: Annotated[
        str,
        typer.Option(metavar="LAW", help="Law (name or file) for the parts of --output that this table cannot determine."),
    ] = "",
    report: Annotated[
        Path | None, typer.Option(metavar="DIRECTORY", help="Directory to write a report and its plots to, as HTML and PNG.")
    ] = None,
    on: OnHere = "here",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Fit scaling laws to a table of finished runs.

    Fits IsoFLOP profiles, the parametric loss L(N, D), and the laws of batch size and learning rate, as far as the table allows.
    """
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


@PANEL.command("longrun sweep python-text", "longrun sweep my_sweep.py --on cluster --profile site --follow")
def sweep(
    name: Annotated[
        str, typer.Argument(metavar="SWEEP", help="Name of a built-in sweep, or a sweep file: FILE.py or FILE.py:FUNCTION.")
    ] = "python-text",
    tag: Tag = None,
    note: Note = "",
    on: On = "here",
    profile: ProfileOption = "",
    follow: Follow = False,
    upload: Upload = False,
    max_upload: MaxUpload = 2.0,
    home: Home = None,
) -> None:
    """Train many small models, fit a scaling law to them, and test its prediction on a larger training run."""
    from workflows.steps.labels import labels_of
    from workflows.sweeps.sweep import load_sweep

    labels = labels_of(tag or [], note)
    on_cluster.require_options_fit(on, profile=profile, follow=follow, upload=upload, stores=False)
    if on == "cluster":
        request = on_cluster.Request(profile=profile, follow=follow, max_upload=max_upload if upload else 0.0)
        on_cluster.submit_sweep(load_sweep(name), settings_of(home), labels, request)
    else:
        from workflows.commands.sweep import sweep_and_show

        sweep_and_show(load_sweep(name), settings_of(home), labels)


@PANEL.command("longrun sweeps")
def sweeps(as_json: Json = False) -> None:
    """List the built-in sweeps."""
    from workflows.sweeps.sweep import BUILT_IN, load_sweep

    known = {name: load_sweep(name).description for name in BUILT_IN}
    print_result(known, as_json, [f"{name:<14}{description}" for name, description in known.items()])


@PANEL.command("longrun law latest", "longrun law latest --output law.json", "longrun law latest --profile site")
def law(
    run: RunName = "latest",
    output: Annotated[
        Path | None,
        typer.Option(help="File to copy the law to; for a law of several vocabularies, also a .csv of its runs."),
    ] = None,
    profile: OutsideProfile = "",
    home: Home = None,
) -> None:
    """Print the scaling laws that a finished sweep has fitted, how well they predict, and where their files are."""
    from workflows.commands.sweep import LAWS, copy_law, sweep_lines
    from workflows.steps.journals import journal_of

    settings = settings_of(home, profile=profile, services=(STORE,))
    journal = journal_of(settings, run, LAWS, make="longrun sweep")
    if output is not None:
        copy_law(journal, settings, output)
    typer.echo("\n".join(sweep_lines(journal, settings)).strip())


@PANEL.command("longrun compare-corpora first.txt second.txt", "longrun compare-corpora python-environment:code prose/")
def compare_corpora(
    first: Annotated[
        str, typer.Argument(metavar="A", help="First corpus: a file or directory of texts, or python-environment:DOMAIN.")
    ],
    second: Annotated[
        str, typer.Argument(metavar="B", help="Second corpus: a file or directory of texts, or python-environment:DOMAIN.")
    ],
    compute: Annotated[
        float, typer.Option(metavar="FLOPS", help="Largest compute budget of a training run, in FLOPs.", show_default="1.2e12")
    ] = 1.2e12,
    on: OnHere = "here",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Fit a scaling law to each of two corpora, and compare them.

    Trains a ladder (small models of increasing size) on each corpus. Shows how each law divides a budget
    between model and tokens, and which loss it predicts.
    """
    from workflows.commands.compare_corpora import compare_corpora as compared
    from workflows.commands.compare_corpora import comparison_lines

    require_here("compare-corpora", on)
    comparison = compared((first, second), compute, settings_of(home), quiet=as_json)
    print_result(comparison, as_json, comparison_lines(comparison))
