"""`longrun run` at a terminal: the display around a run, the table at its end, and what to try next."""

import time

import psutil

from infra.settings import Settings
from infra.urls import HERE
from workflows.commands.display import Display, next_commands, orchestration_share, steady_console, summary
from workflows.recipe import Recipe
from workflows.running import run_recipe
from workflows.steps.journal import listening
from workflows.steps.run import RunOptions


def run_and_show(recipe: Recipe, settings: Settings, options: RunOptions) -> None:
    """Run `recipe`, showing each step, and end with a table and the next commands."""
    console = steady_console()
    console.print(f"[bold]longrun[/] recipe {recipe.name}: {recipe.description}")
    console.print(f"  home {settings.home}")
    if settings.artifact_root != HERE or settings.mlflow_uri != HERE:
        console.print(f"  artifacts {settings.artifact_root}, MLflow {settings.mlflow_uri}")
    if branch := options.branch:
        console.print(f"  pretraining goes on from run {branch.run}, training state {branch.state.digest[:12]}")
    with Display(console) as display, listening(display):
        journal = run_recipe(recipe, settings, options)
    # The wall time starts with the process, so that imports count.
    wall_seconds = time.time() - psutil.Process().create_time()
    events = journal.events()
    console.print()
    console.print(summary(events, wall_seconds))
    if any(event["event"] == "made" for event in events):
        console.print(f"\norchestration share {orchestration_share(events, wall_seconds):.1%} of the wall time")
    console.print(f"run {journal.name}: {journal.directory}")
    for line in next_commands(events, settings):
        console.print(line)
