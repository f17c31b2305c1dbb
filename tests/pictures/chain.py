"""Draws the picture of the chain in the README, once for light pages and once for dark ones.

`python -m tests.pictures.chain` writes the files again; so does `make pictures`. The stages and their checks come from
`workflows.steps.stages`, so that the picture shows what the code does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from tests.paths import ROOT
from workflows.steps.stages import STAGES

FOLDER = ROOT / "workflows" / "figures"


@dataclass(frozen=True)
class Caption:
    """What the picture says about a stage."""

    title: str
    work: str
    """What the stage does, in a few words."""
    result: str
    """What it hands to the next stage."""
    data: str = ""
    """What comes into the chain at this stage."""


CAPTIONS = {
    "curation": Caption("Curation", "clean, deduplicate, mix", "corpus", data="raw text"),
    "tokenizer": Caption("Tokenizer", "train BPE, encode text", "tokens"),
    "scaling": Caption("Scaling", "plan size, tokens, rate", "plan"),
    "pretraining": Caption("Pretraining", "train the base model", "base model"),
    "sft": Caption("SFT", "learn to answer", "SFT model", data="conversations"),
    "dpo": Caption("DPO", "prefer better answers", "DPO model", data="preference pairs"),
    "evaluation": Caption("Evaluation", "measure and compare", "report"),
    "registration": Caption("Registration", "publish with its lineage", "model"),
}

COLOURS = {
    "light": {"ink": "#1d2430", "soft": "#5b6575", "line": "#8a94a6", "card": "#f5f7fa", "edge": "#2563c9", "check": "#1a7f37"},
    "dark": {"ink": "#e7ebf2", "soft": "#9aa6b8", "line": "#7d8798", "card": "#1a212c", "edge": "#6ea3f5", "check": "#3fb950"},
}

COLUMNS = 4
WIDTH, HEIGHT = 164, 62
"""Of the box of a stage, in pixels."""
GAP, ROW = 84, 158
"""Between two boxes of a row, for the name of what is handed on; from one row to the next."""
MARGIN, TOP = 12, 54

MAX_WORK, MAX_RESULT = 24, 11
"""Characters that fit into a box, and over an arrow, in the widest of the fonts."""


def picture(colours: dict[str, str]) -> str:
    """The chain as SVG."""
    width, height = 2 * MARGIN + COLUMNS * (WIDTH + GAP) + 36, TOP + ROW + HEIGHT + 44
    styles = "".join(f".{name} {{ {rule} }}\n" for name, rule in _styles(colours))
    body = "\n".join(line for number, stage in enumerate(STAGES) for line in _stage(number, stage))
    check = '<tspan class="good">✓</tspan> a failed check stops the run here'
    legend = f'<text class="soft" x="{MARGIN}" y="{height - 12}">{check}</text>'
    arrow = '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="The stages of longrun">\n'
        f"<style>\n{styles}</style>\n"
        f'<defs>{arrow}<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>\n'
        f"{body}\n{legend}\n</svg>\n"
    )


def _styles(colours: dict[str, str]) -> Iterator[tuple[str, str]]:
    font = 'font: 13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
    yield "box", f"fill: {colours['card']}; stroke: {colours['edge']}; stroke-width: 1.5"
    yield "title", f"{font}; font-size: 16px; font-weight: 600; fill: {colours['ink']}; text-anchor: middle"
    yield "work", f"{font}; font-size: 12px; fill: {colours['soft']}; text-anchor: middle"
    yield "on-arrow", f"{font}; font-size: 12px; fill: {colours['ink']}; text-anchor: middle"
    yield "data", f"{font}; font-style: italic; fill: {colours['ink']}; text-anchor: middle"
    yield "soft", f"{font}; fill: {colours['soft']}"
    yield "good", f"{font}; font-size: 15px; font-weight: 700; fill: {colours['check']}"
    yield "check", f"{font}; font-size: 15px; font-weight: 700; fill: {colours['check']}; text-anchor: middle"
    yield "line", f"fill: none; stroke: {colours['line']}; stroke-width: 1.5"
    yield "tip", f"fill: {colours['line']}"


def _stage(number: int, stage: str) -> Iterator[str]:
    """The box of a stage, what comes into it from above, and the arrow to the next one."""
    caption = CAPTIONS[stage]
    x, y = MARGIN + number % COLUMNS * (WIDTH + GAP), TOP + number // COLUMNS * ROW
    middle = x + WIDTH // 2
    yield f'<rect class="box" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
    yield f'<text class="title" x="{middle}" y="{y + 27}">{escape(caption.title)}</text>'
    yield f'<text class="work" x="{middle}" y="{y + 47}">{escape(caption.work)}</text>'
    if caption.data:
        yield f'<text class="data" x="{middle}" y="{y - 32}">{escape(caption.data)}</text>'
        yield f'<path class="line" marker-end="url(#arrow)" d="M{middle} {y - 26}V{y - 2}"/>'
    yield from _arrow(number, x + WIDTH, y + HEIGHT // 2, caption.result)
    if any(step.startswith("check_") for step in STAGES[stage]):
        yield f'<text class="check" x="{x + WIDTH + GAP // 2}" y="{y + HEIGHT // 2 + 19}">✓</text>'


def _arrow(number: int, x: int, y: int, result: str) -> Iterator[str]:
    """From the right edge of a box at (x, y) to the next box, or from the end of a row to the start of the next."""
    yield f'<text class="on-arrow" x="{x + GAP // 2}" y="{y - 8}">{escape(result)}</text>'
    ends_row = number % COLUMNS == COLUMNS - 1 and number < len(STAGES) - 1
    if ends_row:
        turn, between, start = x + GAP, y + HEIGHT // 2 + 22, MARGIN + 28
        down = f"M{x} {y}H{turn}V{between}H{start}V{TOP + ROW * (number // COLUMNS + 1) - 2}"
        yield f'<path class="line" marker-end="url(#arrow)" d="{down}"/>'
    else:
        yield f'<path class="line" marker-end="url(#arrow)" d="M{x} {y}H{x + GAP - 2}"/>'


def files() -> dict[Path, str]:
    """Both pictures with the files that they are kept in."""
    return {FOLDER / f"chain-{name}.svg": picture(colours) for name, colours in COLOURS.items()}


def main() -> None:
    """Write both pictures."""
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
