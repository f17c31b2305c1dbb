"""`longrun sweep` at a terminal: the display around a sweep, and at its end the law and the verdict."""

import time
from collections.abc import Mapping
from typing import Any

import psutil

from components.artifacts import Artifact
from infra.settings import Settings
from infra.storage import store_at
from workflows.display import Display, steady_console, summary
from workflows.journal import Event, listening
from workflows.running import run_sweep
from workflows.sweep import Sweep


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
    """Law, prediction and verdict of a finished sweep, and where its report is."""
    steps = {event["step"]: event for event in events if event["event"] in {"made", "cached"}}
    law, verdict = steps["scaling_law"]["figures"], steps["verdict"]
    return ["", *_law_lines(law), *verdict_lines(verdict["figures"]), *_places(settings, steps["scaling_law"], verdict)]


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
    named = (("IsoFLOP", "isoflop", "n_exponent"), ("parametric", "parametric", "n_exponent"))
    found = [(title, law[method][key]) for title, method, key in named if method in law]
    lines = [
        f"{title:<12}M_opt grows as C^{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]" for title, value in found
    ]
    return [*lines, *(f"not fitted: {name}: {reason}" for name, reason in law["refused"].items())]


def _places(settings: Settings, law: Event, verdict: Event) -> list[str]:
    store = store_at(settings.artifact_root, settings.home)
    fitted, judged = (store.local(Artifact(uri=event["uri"], digest=event["digest"])) for event in (law, verdict))
    return [f"law         {fitted / 'law.json'}", f"report      {judged / 'report.html'}"]
