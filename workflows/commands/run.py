"""`longrun run` in a terminal: run a recipe with live output, then print the total and the next commands."""

import time

import psutil

from infra.settings import Settings
from infra.urls import HERE
from workflows.commands.display import Display, orchestration_share, steady_console, totals
from workflows.commands.hints import next_commands
from workflows.recipe import Recipe
from workflows.running import run_recipe
from workflows.steps.journal import listening
from workflows.steps.run import RunOptions


def run_and_show(recipe: Recipe, settings: Settings, options: RunOptions) -> None:
    """Run `recipe`, print each step as it happens, then the total and the commands to try next."""
    console = steady_console()
    console.print(f"[bold]longrun[/] recipe {recipe.name}: {recipe.description}")
    console.print(f"  home {settings.home}")
    if settings.artifact_root != HERE or settings.mlflow_uri != HERE:
        console.print(f"  artifacts {settings.artifact_root}, MLflow {settings.mlflow_uri}")
    if branch := options.branch:
        console.print(f"  pretraining starts from training state {branch.state.digest[:12]} of run {branch.run}")
    with Display(console) as display, listening(display):
        journal = run_recipe(recipe, settings, options)
    # Measured from the start of the process, so that imports count.
    wall_seconds = time.time() - psutil.Process().create_time()
    events = journal.events()
    console.print()
    console.print(totals(events, wall_seconds))
    if any(event["event"] == "made" for event in events):
        console.print(
            f"orchestration: {orchestration_share(events, wall_seconds):.1%} of the wall time, in which no step was working"
        )
    console.print(f"run {journal.name}: {journal.directory}")
    for line in next_commands(journal, settings):
        console.print(line, markup=False)
