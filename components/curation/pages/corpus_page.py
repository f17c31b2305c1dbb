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
from components.curation.pages.overview import Distribution, Overview

STEPS = {
    NORMALISE: ("Read and normalised", "What extraction and normalisation changed; what is gone is red, what is new green."),
    FILTER: ("Refused by filters", "The rule that refused each, and what it refused."),
    PERSONAL: ("Personal data replaced", "What stood in the place of the marks is not kept anywhere."),
    QUALITY: ("Refused by quality", "The lowest scores of their language and domain."),
    DEDUPLICATE: ("Removed as duplicates", "The removed document beside the one that stays; what differs is coloured."),
    TRIM: ("Repeated passages taken out", "What went is red, where it stood in the part of the text that is shown."),
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
class Fragment:
    """A piece of a text beside another."""

    kind: str
    """`same`, `gone` or `new`."""
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin of a plot: where it stands, and how high its two parts are, in SVG units."""

    x: float
    width: float
    kept: float
    lost: float
    title: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A distribution as bars."""

    shown: Distribution
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    foot: int = FOOT


def render(found: Overview, name: str) -> str:
    """The page, the same bytes for the same corpus and name."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"shown": shown, "bytes": in_words, "share": _share}
    environment.globals["differences"] = lambda before, after: list(differences(before, after))
    steps = [(heading, caption, found.samples[step]) for step, (heading, caption) in STEPS.items() if step in found.samples]
    plots = [plot_of(one) for one in found.distributions]
    return environment.from_string(PAGE).render(found=found, name=name, steps=steps, plots=plots)


def shown(text: str | None) -> str:
    """A text whose hidden characters are visible."""
    return _HIDDEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text or "")


def in_words(size: int) -> str:
    """A number of bytes in the unit that suits it."""
    value, units = float(size), ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} bytes" if units[0] == "bytes" else f"{value:.3g} {units[0]}"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def differences(before: str, after: str) -> Iterator[Fragment]:
    """What a reader must read once to have read both texts, word by word."""
    left, right = _TOKEN.findall(before), _TOKEN.findall(after)
    for kind, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Fragment("same", "".join(left[a:b]))
            continue
        for name, piece in (("gone", left[a:b]), ("new", right[c:d])):
            if piece:
                yield Fragment(name, "".join(piece))


def plot_of(shown: Distribution) -> Plot:
    """Bars as high as their share of the highest."""
    count = len(shown.labels)
    highest = max(1, *(kept + lost for kept, lost in zip(shown.kept, shown.lost, strict=True)))
    step = WIDTH / count
    bars = tuple(
        Bar(
            x=round(number * step, 2),
            width=round(step * 0.88, 2),
            kept=round(HEIGHT * kept / highest, 2),
            lost=round(HEIGHT * lost / highest, 2),
            title=f"{label}: {kept:,} kept, {lost:,} not",
        )
        for number, (label, kept, lost) in enumerate(zip(shown.labels, shown.kept, shown.lost, strict=True))
    )
    every = -(-count // TICKS)
    ticks = tuple((bars[number].x, shown.labels[number]) for number in range(0, count, every))
    return Plot(shown, bars, ticks)
