"""What the README shows of a run, taken from a real one: its lines, and screenshots of its evaluation report.

`python -m tests.pictures.of_a_run HOME` takes the newest run of HOME that made every stage, and rewrites the block in the
README and the screenshots; so does `make screenshots KEEP=HOME`. Screenshots need Chromium or Chrome on the PATH.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from components.errors import LongrunError
from infra.settings import Settings
from tests.paths import ROOT
from workflows.commands.display import Display
from workflows.steps.journal import Event, Journal
from workflows.steps.journals import journals
from workflows.steps.stages import STAGES

README = ROOT / "README.md"
FOLDER = ROOT / "workflows" / "figures"

BLOCK = re.compile(r"(<!-- Written by make screenshots -->\n```\n).*?(```\n)", re.DOTALL)
"""Where the README shows the lines of a run."""

MAX_COLUMNS = 118
"""Characters of a line that the README shows; longer lines end in …"""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

THEMES = {"light": "1", "dark": "0"}
"""Chromium's number of each colour scheme (`third_party/blink/public/mojom/css/preferred_color_scheme.mojom`)."""

WIDTH, HEIGHT, SCALE = 1000, 736, 1.5
"""Of a screenshot, in pixels of the page; each is `SCALE` pixels of the file."""

BUDGET_MS = 5_000
"""Time that a page gets to be drawn."""


class NoBrowserError(LongrunError):
    """No browser can take screenshots."""


def finished_run(home: Path) -> Journal:
    """The newest run of a home that made every stage itself. Raises `LongrunError` where there is none."""
    for journal in journals(Settings(home=home)):
        if set(STAGES) <= {event.get("step") for event in journal.events() if event["event"] == "made"}:
            return journal
    raise LongrunError(f"no run in {home} has made every stage; make one with: longrun run smoke --home NEW_HOME")


def printed(events: list[Event]) -> list[str]:
    """The lines that a run prints about what it made, without checks, notes and progress."""
    shown = [event for event in events if event["event"] in {"made", "registered"}]
    stream = io.StringIO()
    display = Display(Console(file=stream, width=300, highlight=False, soft_wrap=True))
    for event in shown:
        if not event.get("step", "").startswith("check_"):
            figures = {name: value for name, value in event.get("figures", {}).items() if name != "notes"}
            display({**event, "figures": figures})
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return [line if len(line) <= MAX_COLUMNS else f"{line[: MAX_COLUMNS - 1].rstrip()}…" for line in lines]


def with_lines(page: str, lines: list[str]) -> str:
    """The README with other lines in its block. Raises `LongrunError` where it has no such block."""
    if not BLOCK.search(page):
        raise LongrunError("the README has no block that starts with <!-- Written by make screenshots -->")
    return BLOCK.sub(lambda match: match[1] + "".join(f"{line}\n" for line in lines) + match[2], page)


def browser() -> str:
    """The path of Chromium or Chrome. Raises `NoBrowserError` where neither is on the PATH."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise NoBrowserError(f"screenshots need one of {', '.join(BROWSERS)} on the PATH; on Debian: apt-get install chromium")


def take_screenshot(page: Path, target: Path, theme: str) -> None:
    """Write the top of an HTML page as PNG. Raises `LongrunError` where the browser wrote nothing."""
    with tempfile.TemporaryDirectory() as profile:
        words = [
            *(browser(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}"),
            *("--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}", f"--force-device-scale-factor={SCALE}"),
            *(f"--blink-settings=preferredColorScheme={THEMES[theme]}", f"--virtual-time-budget={BUDGET_MS}"),
            *(f"--screenshot={target}", page.resolve().as_uri()),
        ]
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
    if not target.is_file():
        raise LongrunError(f"{words[0]} took no screenshot of {page}: {ended.stderr.strip()[-300:]}")


def write(home: Path, readme: Path, folder: Path) -> None:
    """Rewrite the block of `readme` and the screenshots in `folder` from a run in `home`."""
    journal = finished_run(home)
    readme.write_text(with_lines(readme.read_text(encoding="utf-8"), printed(journal.events())), encoding="utf-8")
    report = home / journal.artifact("evaluation").uri / "report.html"
    for theme in THEMES:
        take_screenshot(report, folder / f"report-{theme}.png", theme)


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else ".longrun"), README, FOLDER)
