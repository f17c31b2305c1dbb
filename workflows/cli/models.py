"""Commands about registered models: `models`, `generate`, `lineage` and `verify`."""

from typing import Annotated

import typer

from workflows.cli.options import TRACKING, Home, Json, ModelName, OutsideProfile, print_result, settings_of
from workflows.cli.panels import Panel

PANEL = Panel("Models")


@PANEL.command("longrun models", "longrun models --profile site")
def models(profile: OutsideProfile = "", home: Home = None, as_json: Json = False) -> None:
    """List the registered models."""
    from workflows.commands.columns import in_columns
    from workflows.commands.hints import pasted
    from workflows.commands.models import list_models

    chosen = settings_of(home, profile=profile, services=(TRACKING,))
    rows = list_models(chosen)
    lines = in_columns([(r["model"], ", ".join(r["aliases"]), r["digest"][:12], r["place"]) for r in rows], (20, 14))
    print_result(rows, as_json, lines or [f"this home has no registered models yet; make one with: {pasted(chosen, 'run')}"])


@PANEL.command(
    'longrun generate smoke "What does os.path.join do?"',
    'longrun generate smoke@champion "def parse_args(" --raw --seed 1',
    'longrun generate latest:base "class Config:" --raw --temperature 0.7',
)
def generate(
    model: ModelName,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="Message to answer, or with --raw text to continue.")],
    raw: Annotated[bool, typer.Option("--raw", help="Continue the prompt instead of answering it in the chat format.")] = False,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Maximum number of tokens to generate.")] = 128,
    temperature: Annotated[
        float, typer.Option(min=0.0, help="Sampling temperature; 0 always picks the most likely token.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Random seed for sampling.")] = 0,
    profile: OutsideProfile = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Generate text with a model: a registered one, that of a run's step, or a directory."""
    from workflows.commands.generate import Prompt, answer

    request = Prompt(text=prompt, raw=raw, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    text = answer(settings_of(home, profile=profile), model, request)
    print_result({"model": model, "prompt": prompt, "text": text}, as_json, [text])


@PANEL.command("longrun lineage smoke", "longrun lineage smoke/1 --json", "longrun lineage latest:sft")
def lineage(model: ModelName, profile: OutsideProfile = "", home: Home = None, as_json: Json = False) -> None:
    """Print what a model was made from: every artifact, down to the raw files."""
    from workflows.commands.models import lineage_lines, model_lineage

    made_from = model_lineage(settings_of(home, profile=profile), model)
    print_result(made_from.as_json(), as_json, lineage_lines(made_from))


@PANEL.command("longrun verify smoke")
def verify(model: ModelName, profile: OutsideProfile = "", home: Home = None, as_json: Json = False) -> None:
    """Hash all artifacts and raw files of a model again, and report differences.

    Exits with code 1 if there are any.
    """
    from workflows.commands.models import verify_model

    verified = verify_model(settings_of(home, profile=profile), model)
    lines = [f"{uri}: {difference}" for uri, differences in verified.differences.items() for difference in differences]
    counts = f"hashed {verified.artifacts} artifacts, {verified.files} files and {verified.raw_files} raw files"
    counts += f" ({verified.attempts} later attempts)" if verified.attempts else ""
    print_result(verified.as_json(), as_json, [*lines, f"{counts}: {len(lines)} differences"])
    if lines:
        raise typer.Exit(1)
