"""`longrun sweep` at a terminal: the display around a sweep, and at its end the law and the verdict."""

import time
from collections.abc import Mapping
from typing import Any

import psutil

from components.artifacts import Artifact
from infra.settings import Settings
from workflows.commands.display import Display, steady_console, summary
from workflows.running import run_sweep
from workflows.steps.journal import Event, listening
from workflows.sweeps.sweep import Sweep


def sweep_and_show(config: Sweep, settings: Settings) -> None:
    """Run a sweep, showing each step, and end with what was found."""
    console = steady_console()
    console.print(f"[bold]longrun[/] sweep {config.name}: {config.description}")
    console.print(f"  home {settings.home}")
    with Display(console) as display, listening(display):
        record = run_sweep(config, settings)
    wall_seconds = time.time() - psutil.Process().create_time()
    events = record.events()
    console.print()
    console.print(summary([event for event in events if event.get("step") != "sweep_point"], wall_seconds))
    for line in sweep_lines(events, settings):
        console.print(line)


def sweep_lines(events: list[Event], settings: Settings) -> list[str]:
    """Laws, prediction and verdict of a finished sweep, and where its reports are."""
    steps = {event["step"]: event for event in events if event["event"] in {"made", "cached"}}
    fitted = [steps[name] for name in ("hyper_parameter_law", "scaling_law") if name in steps]
    lines = ["", *(line for event in fitted for line in _law_lines(event["figures"]))]
    if "verdict" in steps:
        lines += verdict_lines(steps["verdict"]["figures"])
    reports = [*fitted, *(steps[name] for name in ("verdict",) if name in steps)]
    store = settings.store
    places = [store.local(Artifact(uri=event["uri"], digest=event["digest"])) for event in [fitted[-1], *reports]]
    return [*lines, f"law         {places[0] / 'law.json'}", *(f"report      {place / 'report.html'}" for place in places[1:])]


def verdict_lines(verdict: Mapping[str, Any]) -> list[str]:
    """The verdict in words."""
    name = verdict["figure"].replace("_", " ")
    return [
        f"predicted   {verdict['predicted']:.4f} {name}, "
        f"95 % of such trainings between {verdict['low']:.4f} and {verdict['high']:.4f}",
        f"came out    {verdict['actual']:.4f}, {verdict['place']} the interval, {abs(verdict['excess']):.2%} "
        f"{'above' if verdict['excess'] > 0 else 'below'} the prediction",
    ]


def _law_lines(law: Mapping[str, Any]) -> list[str]:
    named = (
        ("IsoFLOP", "isoflop", "n_exponent", "M_opt"),
        ("parametric", "parametric", "n_exponent", "M_opt"),
        ("grid", "hyper_parameters", "batch_exponent", "batch"),
        ("grid", "hyper_parameters", "learning_rate_exponent", "learning rate"),
    )
    found = [(title, what, law[method][key]) for title, method, key, what in named if method in law]
    lines = [
        f"{title:<12}{what} grows as C^{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
        for title, what, value in found
    ]
    return [*lines, *(f"not fitted: {name}: {reason}" for name, reason in law["refused"].items())]
