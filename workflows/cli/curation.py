"""The commands about curation alone."""

import typer

from workflows.cli.options import Home, Json, On, RecipeName, Set, print_result, require_here, settings_of

curation = typer.Typer()
"""Its commands stand beside all others."""


@curation.command("dedup-curve")
def dedup_curve(
    recipe: RecipeName = "smoke", overrides: Set = None, on: On = "here", home: Home = None, as_json: Json = False
) -> None:
    """Measure the share of documents that deduplication removes by the number of the recipe's sources taken together."""
    from workflows.commands.dedup_curve import measure_and_show
    from workflows.recipe import load_recipe

    require_here("dedup-curve", on)
    figures, lines = measure_and_show(load_recipe(recipe, overrides or []), settings_of(home), quiet=as_json)
    print_result(figures, as_json, lines)


@curation.command("curation-plan")
def curation_plan(recipe: RecipeName = "smoke", overrides: Set = None, as_json: Json = False) -> None:
    """Show a recipe's sources, its mixture, and which near duplicates its deduplication will find, before anything runs."""
    from workflows.commands.curation_plan import curation_plan as planned
    from workflows.commands.curation_plan import curation_plan_lines
    from workflows.recipe import load_recipe

    chosen = load_recipe(recipe, overrides or [])
    made = planned(chosen.curation)
    print_result(made, as_json, curation_plan_lines(chosen.name, made))
