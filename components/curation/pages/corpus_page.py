"""Renders a corpus as one self-contained HTML page: styles and plots are inline, and it loads no scripts or fonts.

Documents are untrusted. So every text is escaped, the page's content security policy forbids scripts, and characters that would
hide or reorder text are shown as their code points.
"""

from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined

from components.curation.extraction.samples import DEDUPLICATE, FILTER, KEEP, NORMALISE, PERSONAL, QUALITY, TRIM
from components.curation.pages.corpus_page_template import PAGE
from components.curation.pages.overview import Histogram, Overview
from components.page_texts import differences, shown

STEPS = {
    NORMALISE: ("Read and normalised", "Changes by extraction and normalisation: removed text is red, added text is green."),
    FILTER: ("Refused by filters", "Documents by the rule that refused them."),
    PERSONAL: (
        "Personal data replaced",
        "Text around the marks that replace personal data, which is not stored anywhere.",
    ),
    QUALITY: ("Refused by quality", "Documents with the lowest scores of their language and domain."),
    DEDUPLICATE: ("Removed as duplicates", "Text only in the removed document is red; text only in the kept document is green."),
    TRIM: ("Repeated passages trimmed", "Trimmed text is red, if it is within the excerpt."),
    KEEP: ("Kept", "Kept documents as they are in the corpus, by domain."),
}
"""Heading and caption of each step, in order."""

WIDTH, HEIGHT, FOOT = 560, 170, 24
"""Width and height of a plot, and height of the area for labels below it, in SVG units."""

TICKS = 7
"""Approximate number of labels below a plot."""


@dataclass(frozen=True, slots=True)
class HistogramBar:
    """One bin of a plot; positions and sizes are in SVG units."""

    x: float
    width: float
    kept: float
    """Height of the bar of kept documents."""
    removed: float
    """Height of the bar of removed documents."""
    title: str
    """Tooltip."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A histogram with its bars and labels."""

    histogram: Histogram
    bars: tuple[HistogramBar, ...]
    ticks: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    foot: int = FOOT


def render(overview: Overview, name: str) -> str:
    """The HTML page of a corpus called `name`; equal corpora and names give equal bytes."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"shown": shown, "bytes": in_words, "share": _share}
    environment.globals["differences"] = lambda before, after: list(differences(before, after))
    samples = overview.samples
    steps = [(heading, caption, samples[step]) for step, (heading, caption) in STEPS.items() if step in samples]
    plots = [plot_of(histogram) for histogram in overview.histograms]
    return environment.from_string(PAGE).render(overview=overview, name=name, steps=steps, plots=plots)


def in_words(size: int) -> str:
    """A size in bytes with a suitable unit, such as `2.34 MB`."""
    value, units = float(size), ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} bytes" if units[0] == "bytes" else f"{value:.3g} {units[0]}"


def _share(value: float, whole: float) -> str:
    return f"{100 * value / whole:.1f} %" if whole else "–"


def plot_of(histogram: Histogram) -> Plot:
    """The plot of a histogram, scaled so that the highest bin fills its height."""
    bins = list(zip(histogram.labels, histogram.kept, histogram.removed, strict=True))
    count = len(bins)
    highest = max(1, *(kept + removed for _, kept, removed in bins))
    step = WIDTH / count
    bars = tuple(
        HistogramBar(
            x=round(number * step, 2),
            width=round(step * 0.88, 2),
            kept=round(HEIGHT * kept / highest, 2),
            removed=round(HEIGHT * removed / highest, 2),
            title=f"{label}: {kept:,} kept, {removed:,} not kept",
        )
        for number, (label, kept, removed) in enumerate(bins)
    )
    every = -(-count // TICKS)
    ticks = tuple((bars[number].x, histogram.labels[number]) for number in range(0, count, every))
    return Plot(histogram, bars, ticks)
