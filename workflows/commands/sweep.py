"""`longrun sweep` and `longrun law`: run a sweep with live output, and print its laws and how well they predict."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from components.artifacts import PlanVerdict
from components.errors import ConfigError
from components.files import write_text
from components.scaling.laws.law import Law
from components.scaling.laws.text_law import TextLaw
from components.scaling.sweeps.table import RUNS
from infra.settings import Settings
from workflows.commands.display import Display, steady_console, totals
from workflows.running import run_sweep
from workflows.steps.journal import Journal, listening
from workflows.steps.labels import Labels
from workflows.steps.values import value_of
from workflows.sweeps.sweep import Sweep

LAWS = ("hyper_parameter_law", "scaling_law", "text_law")
"""Steps that fit a law, a sweep's own law last."""


def sweep_and_show(config: Sweep, settings: Settings, labels: Labels) -> None:
    """Run a sweep, print each step as it happens, then its laws and the verdict on their prediction."""
    console = steady_console()
    console.print(f"[bold]longrun[/] sweep {config.name}: {config.description}")
    console.print(f"  home {settings.home}")
    with Display(console) as display, listening(display):
        journal = run_sweep(config, settings, labels)
    wall_seconds = time.time() - psutil.Process().create_time()
    console.print()
    console.print(totals([event for event in journal.events() if event.get("step") != "sweep_point"], wall_seconds))
    for line in sweep_lines(journal, settings):
        console.print(line)


def sweep_lines(journal: Journal, settings: Settings) -> list[str]:
    """The laws of a finished sweep, the verdict on their prediction if it was tested, and the paths of its files."""
    laws = _laws(journal)
    verdicts = ["verdict"] if journal.find("verdict") else []
    lines = ["", *(line for name in laws for line in _law_lines(journal.last(name)["figures"]))]
    read = (value_of(settings.store, journal.artifact(name), PlanVerdict) for name in verdicts)
    lines += [line for verdict in read for line in verdict_lines(verdict)]

    directories = {name: settings.store.local(journal.artifact(name)) for name in [*laws, *verdicts]}
    reports = [f"report      {directory / 'report.html'}" for directory in directories.values()]
    return [*lines, f"law         {directories[laws[-1]] / _file_of(laws[-1])}", *reports]


def copy_law(journal: Journal, settings: Settings, path: Path) -> None:
    """Copy the law of a finished sweep to `path`, and the training runs of a text's law beside it, as CSV.

    Raises:
        ConfigError: the run has fitted no law.
    """
    laws = _laws(journal)
    if not laws:
        raise ConfigError(f"run {journal.directory.name} has fitted no law; name the run of a sweep that has finished")
    directory = settings.store.local(journal.artifact(laws[-1]))
    write_text(path, (directory / _file_of(laws[-1])).read_text(encoding="utf-8"))
    if laws[-1] == "text_law":
        write_text(path.with_suffix(".csv"), (directory / RUNS).read_text(encoding="utf-8"))


def _laws(journal: Journal) -> list[str]:
    """The steps that have fitted a law, the sweep's own law last."""
    return [name for name in LAWS if journal.find(name)]


def _file_of(step: str) -> str:
    return TextLaw.NAME if step == "text_law" else Law.NAME


def verdict_lines(verdict: PlanVerdict) -> list[str]:
    """The loss that the law predicted for the larger training, and the measured loss."""
    return [
        f"predicted   {verdict.predicted:.4f} {verdict.figure_in_words}, 95 % interval {verdict.low:.4f} to {verdict.high:.4f}",
        f"measured    {verdict.actual:.4f}, {verdict.position} the interval, {abs(verdict.excess):.2%} "
        f"{'above' if verdict.excess > 0 else 'below'} the prediction",
    ]


def _law_lines(law: Mapping[str, Any]) -> list[str]:
    if "joint" in law:
        return _text_law_lines(law)
    named = (
        ("IsoFLOP", "isoflop", "n_exponent", "M_opt"),
        ("parametric", "parametric", "n_exponent", "M_opt"),
        ("grid", "hyper_parameters", "batch_exponent", "batch"),
        ("grid", "hyper_parameters", "learning_rate_exponent", "learning rate"),
    )
    exponents = [(title, what, law[method][key]) for title, method, key, what in named if method in law]
    lines = [
        f"{title:<12}{what} grows as C^{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
        for title, what, value in exponents
    ]
    lines += [f"note: {where}; the optimum may lie beyond" for where in law.get("edges", ())]
    return [*lines, *(f"not fitted: {name}: {reason}" for name, reason in law["refused"].items())]


def _text_law_lines(law: Mapping[str, Any]) -> list[str]:
    """The coefficients of the law of a text, and how its vocabularies compare."""
    joint, sizes = law["joint"], list(law["vocabularies"])
    lines = [f"text law    bits per byte = E + A / S^alpha + B / D^beta, from {law['runs']} training runs"]
    for name in ("E", "alpha", "beta"):
        value = joint[name]
        lines.append(f"            {name:<6}{value['value']:.4g} [{value['low']:.4g}, {value['high']:.4g}]")
    lines.append("vocabulary  bytes per token        A        B")
    lines += [
        f"{size:>10}  {law['vocabularies'][size]['bytes_per_token']:15.3f}  {joint[f'A {size}']['value']:7.4g}  "
        f"{joint[f'B {size}']['value']:7.4g}"
        for size in sizes
    ]
    lines.append("best model by FLOPs, those of the head included")
    lines += [
        f"{row['compute']:>10.2g}  vocabulary {row['vocab_size']:>6}, width {row['width']:>4}, {row['tokens']:.3g} tokens: "
        f"{row['bits_per_byte']:.3f} bits per byte"
        for row in law["optima"]
    ]
    return [*lines, *(f"not fitted: {name}: {reason}" for name, reason in law["refused"].items())]
