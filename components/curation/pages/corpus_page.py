"""A corpus as one HTML page that needs nothing else: styles and plots are in it, it loads no script and no font.

Documents come from strangers: every text is escaped, the page forbids scripts to the browser as well, and characters that would
reorder or hide what a reader sees are shown as their code points.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import Environment, StrictUndefined

from components.curation.extraction.samples import DEDUPLICATE, FILTER, KEEP, NORMALISE, PERSONAL, QUALITY, TRIM
from components.curation.pages.corpus_page_template import PAGE
from components.curation.pages.overview import Histogram, Overview

STEPS = {
    NORMALISE: ("Read and normalised", "What extraction and normalisation changed: removed text is red, new text green."),
    FILTER: ("Refused by filters", "The rule that refused each, and what it refused."),
    PERSONAL: ("Personal data replaced", "What the marks replace is not kept anywhere."),
    QUALITY: ("Refused by quality", "The lowest scores of their language and domain."),
    DEDUPLICATE: ("Removed as duplicates", "The removed document beside the kept one; what differs is coloured."),
    TRIM: ("Repeated passages taken out", "What was taken out is red, where the excerpt shows it."),
    KEEP: ("Kept", "As the corpus holds them."),
}
"""Heading and caption of each step, in order."""

WIDTH, HEIGHT, FOOT = 560, 170, 24
"""Of a plot, in SVG units; the foot holds labels."""

TICKS = 7
"""Labels below a plot, about."""

_HIDDEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]"
)
"""Controls, and what joins, hides or reorders (Unicode's bidirectional controls; see "Trojan Source", arXiv 2111.00169)."""

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class DiffSpan:
    """Words of two texts, which both have or one of them."""

    kind: str
    """`same`; `gone`, of the first text alone; or `new`, of the second alone."""
    text: str


@dataclass(frozen=True, slots=True)
class HistogramBar:
    """One bin of a plot: its position, and how high its two bars are, in SVG units."""

    x: float
    width: float
    kept: float
    removed: float
    title: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A histogram as bars."""

    histogram: Histogram
    bars: tuple[HistogramBar, ...]
    ticks: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    foot: int = FOOT


def render(overview: Overview, name: str) -> str:
    """The page, the same bytes for the same corpus and name."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"shown": shown, "bytes": in_words, "share": _share}
    environment.globals["differences"] = lambda before, after: list(differences(before, after))
    samples = overview.samples
    steps = [(heading, caption, samples[step]) for step, (heading, caption) in STEPS.items() if step in samples]
    plots = [plot_of(histogram) for histogram in overview.histograms]
    return environment.from_string(PAGE).render(overview=overview, name=name, steps=steps, plots=plots)


def shown(text: str | None) -> str:
    """A text whose hidden characters are visible."""
    return _HIDDEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text or "")


def in_words(size: int) -> str:
    """A number of bytes in the unit that suits it."""
    value, units = float(size), ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} bytes" if units[0] == "bytes" else f"{value:.3g} {units[0]}"


def _share(value: float, whole: float) -> str:
    return f"{100 * value / whole:.1f} %" if whole else "–"


def differences(before: str, after: str) -> Iterator[DiffSpan]:
    """Both texts word by word, with what they share once."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield DiffSpan("same", "".join(old[a:b]))
            continue
        for name, tokens in (("gone", old[a:b]), ("new", new[c:d])):
            if tokens:
                yield DiffSpan(name, "".join(tokens))


def plot_of(histogram: Histogram) -> Plot:
    """Bars as high as their share of the highest."""
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
            title=f"{label}: {kept:,} kept, {removed:,} not",
        )
        for number, (label, kept, removed) in enumerate(bins)
    )
    every = -(-count // TICKS)
    ticks = tuple((bars[number].x, histogram.labels[number]) for number in range(0, count, every))
    return Plot(histogram, bars, ticks)
