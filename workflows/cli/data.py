"""Commands about training data: `inspect`, `batch`, `curation-plan` and `dedup-curve`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workflows.cli.options import (
    STORE,
    Home,
    Json,
    OnHere,
    OutsideProfile,
    RecipeName,
    RunName,
    Set,
    print_result,
    require_here,
    settings_of,
)
from workflows.cli.panels import Panel

PANEL = Panel("Data")


@PANEL.command("longrun inspect", "longrun inspect latest preference_pairs", "longrun inspect latest --output corpus.html")
def inspect(
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT",
            help="What to show: the id of a run or `latest`, the directory of a corpus, of conversations or of pairs, or the URI "
            "of such an artifact (artifacts/STEP/KEY/CONTENT, s3://…/artifacts/STEP/KEY/CONTENT).",
        ),
    ] = "latest",
    step: Annotated[
        str, typer.Argument(metavar="STEP", help="Step of the run: curation, conversations or preference_pairs.")
    ] = "curation",
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="HTML file to write.", show_default="a file in the home")
    ] = None,
    profile: OutsideProfile = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write an HTML page about a corpus, conversations or preference pairs: counts, lengths, what was left out and why, samples.

    For a corpus it shows documents before and after each step, and duplicates; for pairs, chosen against rejected answers.
    """
    from workflows.commands.inspect import inspect as write_page

    counts = write_page(settings_of(home, profile=profile, services=(STORE,)), artifact, step, output)
    print_result(asdict(counts), as_json, counts.lines)


@PANEL.command("longrun batch latest 1", "longrun batch latest 1 --text")
def batch(
    run: RunName,
    step: Annotated[int, typer.Argument(metavar="STEP", help="Optimizer step of pretraining, from 1.")],
    whole: Annotated[bool, typer.Option("--text", help="Print the whole text of each document.")] = False,
    profile: OutsideProfile = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Print the documents in the batch of one pretraining step."""
    from workflows.commands.batch import batch as batch_of
    from workflows.commands.batch import batch_lines

    rows = batch_of(settings_of(home, profile=profile, services=(STORE,)), run, step, whole=whole)
    print_result([asdict(row) for row in rows], as_json, batch_lines(rows, whole=whole))


@PANEL.command("longrun curation-plan smoke", "longrun curation-plan tiny --set curation.duplicates.near_duplicate_threshold=0.7")
def curation_plan(recipe: RecipeName = "smoke", overrides: Set = None, as_json: Json = False) -> None:
    """Show a recipe's sources and mixture, and how likely its settings find near-duplicates, without running it."""
    from workflows.commands.curation_plan import curation_plan as planned
    from workflows.commands.curation_plan import curation_plan_lines
    from workflows.recipe import load_recipe

    chosen = load_recipe(recipe, overrides or [])
    made = planned(chosen.curation)
    print_result(made, as_json, curation_plan_lines(chosen.name, made))


@PANEL.command("longrun dedup-curve tiny")
def dedup_curve(
    recipe: RecipeName = "smoke", overrides: Set = None, on: OnHere = "here", home: Home = None, as_json: Json = False
) -> None:
    """Measure the fraction of documents that deduplication removes as a recipe's sources are added one by one."""
    from workflows.commands.dedup_curve import measure_and_show
    from workflows.recipe import load_recipe

    require_here("dedup-curve", on)
    figures, lines = measure_and_show(load_recipe(recipe, overrides or []), settings_of(home), quiet=as_json)
    print_result(figures, as_json, lines)
