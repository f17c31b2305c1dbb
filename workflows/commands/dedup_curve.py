"""`longrun dedup-curve`: measure how much deduplication removes by number of sources, and print the curve as a table."""

from collections.abc import Mapping
from typing import Any

from components.files import JSON
from infra.settings import Settings
from workflows.commands.display import Display, steady_console
from workflows.recipe import Recipe
from workflows.running import run_dedup_curve
from workflows.steps.journal import listening

_STEP = "deduplication_curve"

_FILES = ("curve.csv", "curve.json", "curve.png", "curve.html")


def measure_and_show(recipe: Recipe, settings: Settings, *, quiet: bool) -> tuple[dict[str, JSON], list[str]]:
    """Measure the curve of a recipe's sources. Returns its figures and file paths, and the lines that show them."""
    with Display(steady_console()) as display, listening((lambda event: None) if quiet else display):
        journal = run_dedup_curve(recipe, settings)
    figures = journal.last(_STEP)["figures"]
    directory = settings.store.local(journal.artifact(_STEP), only=_FILES)
    files = {name: str(directory / name) for name in _FILES}
    return {**figures, "files": files}, [*curve_lines(figures), *(f"{name:<12}{path}" for name, path in files.items())]


def curve_lines(figures: Mapping[str, Any]) -> list[str]:
    """The curve as a table: documents removed over all sources together, and within single sources (`apart`)."""
    return [
        f"{'sources':>8}{'documents':>12}{'removed':>10}{'rate':>8}{'of bytes':>10}{'within sources':>16}  last source",
        *(
            f"{p['sources']:>8}{p['documents']:>12}{p['removed_documents']:>10}{p['removal_rate']:>8.1%}"
            f"{p['removal_rate_of_bytes']:>10.1%}{p['removal_rate_apart']:>16.1%}  {p['last']}"
            for p in figures["points"]
        ),
    ]
