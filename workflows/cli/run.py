"""Commands that run recipes and keep a home in order: `run`, `recipes`, `show`, `doctor`, `gc` and `resume-proof`."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Annotated

import typer

from workflows.cli import on_cluster
from workflows.cli.options import (
    Follow,
    Home,
    Json,
    MaxUpload,
    Note,
    On,
    OnHere,
    ProfileOption,
    RecipeName,
    Set,
    Tag,
    Upload,
    print_findings,
    print_result,
    require_here,
    settings_of,
)
from workflows.cli.panels import Panel

PANEL = Panel("Run")


@PANEL.command(
    "longrun run smoke",
    "longrun run mine.py --set pretraining.learning_rate=0.001 --until pretraining",
    "longrun run smoke --from latest --at 80%",
    'longrun run smoke --tag data=v2 --note "with the new filter"',
    "longrun run smoke --on cluster --profile site --follow",
)
def run(
    recipe: RecipeName = "smoke",
    overrides: Set = None,
    until: Annotated[str, typer.Option(metavar="STAGE", help="Stop after this stage or step, such as pretraining.")] = "",
    fresh: Annotated[
        list[str] | None,
        typer.Option(metavar="STEP", help="Stage or step to run again even if its result is cached. May be repeated."),
    ] = None,
    parent: Annotated[
        str,
        typer.Option("--from", metavar="RUN", help="Id of the run from whose checkpoint pretraining starts, or `latest`."),
    ] = "",
    at: Annotated[
        str,
        typer.Option(
            "--at", metavar="FRACTION", help="With --from: the checkpoint to start from, as a fraction of that run's steps."
        ),
    ] = "80%",
    tag: Tag = None,
    note: Note = "",
    on: On = "here",
    profile: ProfileOption = "",
    follow: Follow = False,
    upload: Upload = False,
    max_upload: MaxUpload = 2.0,
    artifact_root: Annotated[
        str,
        typer.Option(
            metavar="URI",
            help="Bucket in which to store artifacts, such as s3://bucket/prefix.",
            show_default="that of this home's last run, or the home",
        ),
    ] = "",
    mlflow_uri: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="MLflow server on which to record runs and register models.",
            show_default="that of this home's last run, or the home",
        ),
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each event as a line of JSON, and everything else to standard error.")
    ] = False,
    home: Home = None,
) -> None:
    """Run all stages of a recipe, from raw text to a registered model; unchanged steps are reused.

    Exit codes: 0 done, 1 failed, 2 wrong usage or recipe, 3 a check failed, 4 registration refused, 130 or 143 stopped.
    """
    from workflows.commands.event_lines import events_on_standard_output

    with events_on_standard_output() if as_json else nullcontext():
        from workflows.recipe import load_recipe
        from workflows.steps.labels import labels_of
        from workflows.steps.run import RunOptions
        from workflows.steps.stages import last_end, steps_of

        chosen = load_recipe(recipe, overrides or [])
        settings = settings_of(home, artifact_root=artifact_root, mlflow_uri=mlflow_uri)
        steps = tuple(step for name in fresh or [] for step in steps_of(name))
        until = last_end(until) if until else ""
        labels = labels_of(tag or [], note)
        run_options = RunOptions(until=until, fresh=steps, changes=tuple(overrides or ()), labels=labels)
        stores = bool(artifact_root or mlflow_uri)
        on_cluster.require_options_fit(on, profile=profile, follow=follow, upload=upload, stores=stores)
        if on == "cluster":
            request = on_cluster.Request(profile=profile, follow=follow, max_upload=max_upload if upload else 0.0)
            on_cluster.submit_run(chosen, settings, run_options, request, parent=parent, at=at)
        else:
            from workflows.commands.run import run_and_show
            from workflows.steps.branching import find_branch

            branch = find_branch(settings, parent, at) if parent else None
            run_and_show(chosen, settings, replace(run_options, branch=branch))


@PANEL.command("longrun recipes")
def recipes(as_json: Json = False) -> None:
    """List the built-in recipes."""
    from workflows.recipe import BUILT_IN, load_recipe

    known = {name: load_recipe(name).description for name in BUILT_IN}
    print_result(known, as_json, [f"{name:<10}{description}" for name, description in known.items()])


@PANEL.command("longrun show tiny", "longrun show smoke --set sft.epochs=3 --json")
def show(recipe: RecipeName = "smoke", overrides: Set = None, as_json: Json = False) -> None:
    """Print every field of a recipe with --set applied, first those that differ from the most similar built-in recipe."""
    from components.extensions import recorded
    from workflows.loading.listing import nearest, recipe_lines
    from workflows.recipe import BUILT_IN, load_recipe

    chosen = load_recipe(recipe, overrides or [])
    base = nearest(chosen, [load_recipe(name) for name in BUILT_IN])
    print_result(recorded(chosen), as_json, recipe_lines(chosen, base))


@PANEL.command("longrun doctor", "longrun doctor --cluster --profile site")
def doctor(
    cluster: Annotated[bool, typer.Option("--cluster", help="Check a cluster and its services instead of this machine.")] = False,
    profile: ProfileOption = "",
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="RECIPE", help="With --cluster: recipe whose GPUs the cluster is checked for.")
    ] = "smoke",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Check whether this machine, or a cluster, can run longrun; exits with code 1 if it cannot."""
    if cluster:
        from infra.cluster.profiles import read_profile
        from workflows.commands.cluster.doctor import examine_cluster
        from workflows.recipe import load_recipe

        findings = examine_cluster(read_profile(settings_of(home).home, profile), load_recipe(recipe))
    else:
        from workflows.commands.doctor import examine

        findings = examine(settings_of(home))
    print_findings(findings, as_json)


@PANEL.command("longrun gc --dry-run", "longrun gc --keep latest --yes")
def gc(
    profile: Annotated[str, typer.Option("--profile", hidden=True, help="Refused with the reason.")] = "",
    home: Home = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="Run whose artifacts and checkpoints are kept as well. May be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list; delete nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    as_json: Json = False,
) -> None:
    """List what no registered model and no running run needs, and what deleting it costs; delete it after asking."""
    from components.errors import ConfigError
    from workflows.commands.gc.costs import costs_of, lines_of
    from workflows.commands.gc.waste import delete_waste, list_waste

    if profile:
        raise ConfigError(
            "gc --profile: gc deletes only files in the home, because other homes may need what is in a bucket; use the bucket's "
            "lifecycle rules, and exclude prefixes that hold registered models"
        )
    chosen = settings_of(home)
    listing = list_waste(chosen, keep or [])
    costs = costs_of(chosen, listing)
    print_result([cost.as_json() for cost in costs], as_json, lines_of(costs, listing))
    if dry_run or not costs:
        return
    if not yes and not typer.confirm(f"Delete these {len(costs)} directories?", err=as_json):
        raise typer.Exit(1)
    deleted = delete_waste(chosen, listing.waste, keep or [])
    if skipped := len(costs) - len(deleted):
        typer.echo(f"{skipped} of them are needed now, and were kept", err=True)


@PANEL.command("longrun resume-proof tiny --steps 40")
def resume_proof(
    recipe: RecipeName = "smoke",
    overrides: Set = None,
    steps: Annotated[int, typer.Option(min=8, help="Training steps of the shortened run.")] = 200,
    seed: Annotated[int, typer.Option(help="Random seed for the step at which a worker is killed.")] = 0,
    on: OnHere = "here",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Check that pretraining resumes with the same result after a worker is killed.

    Shortens the recipe's pretraining and trains once without interruption. Then trains again, kills a worker at a random step and
    resumes: with the same number of workers, and if the parallelism layout allows it, with another number. Exits with code 1 if
    the weights are not bitwise identical or, with another number of workers, if the final loss differs by more than 1 %.
    """
    from workflows.commands import resume_proof as proof
    from workflows.recipe import load_recipe

    require_here("resume-proof", on)
    verdicts = proof.prove(load_recipe(recipe, overrides or []), settings_of(home), steps=steps, seed=seed)
    print_result(proof.as_json(verdicts), as_json, proof.verdict_lines(verdicts))
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(1)
