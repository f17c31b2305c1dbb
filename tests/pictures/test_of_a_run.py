"""The README's block and screenshots come from a finished run, and are refused where there is none."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from components.errors import LongrunError
from tests.pictures import of_a_run
from workflows.steps.journal import Event
from workflows.steps.stages import STAGES

EVENTS: list[Event] = [
    {"event": "started", "step": "curation"},
    {"event": "made", "step": "curation", "seconds": 2.5, "figures": {"documents": 12, "notes": ["a note"]}},
    {"event": "made", "step": "check_corpus", "seconds": 0.1, "figures": {"failed": 0}},
    {"event": "made", "step": "evaluation", "seconds": 3.0, "figures": {"model " * 30: 1}},
    {"event": "registered", "model": "tiny/1", "new": True},
]


def test_the_lines_are_those_of_a_run_without_checks_and_notes_and_not_too_long() -> None:
    lines = of_a_run.printed(EVENTS)
    assert [line.split()[1] for line in lines] == ["curation", "evaluation", "as"]
    assert lines[0] == "  made    curation                      2.5 s  documents 12"
    assert len(lines[1]) <= of_a_run.MAX_COLUMNS
    assert lines[1].endswith("…")


def test_the_readme_shows_every_stage_as_a_run_prints_it_now() -> None:
    """What was made is shown with other figures after each change of a recipe; the form of its lines is that of today."""
    block = of_a_run.BLOCK.search(of_a_run.README.read_text(encoding="utf-8"))
    assert block
    lines = block[0].splitlines()[2:-1]
    steps = [line.split()[1] for line in lines if line.startswith("  made")]
    assert set(STAGES) <= set(steps)
    events: list[Event] = [{"event": "made", "step": step, "seconds": 1.0, "figures": {}} for step in steps]
    assert [line[:32] for line in of_a_run.printed(events)] == [line[:32] for line in lines[: len(steps)]]


def test_only_the_block_of_the_readme_is_rewritten() -> None:
    page = "a\n<!-- Written by make screenshots -->\n```\nold\n```\nb\n```\nc\n```\n"
    assert of_a_run.with_lines(page, [r"new \1"]) == page.replace("old", r"new \1")
    with pytest.raises(LongrunError, match="no block"):
        of_a_run.with_lines("a page", ["new"])


def test_a_home_without_a_finished_run_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(LongrunError, match="longrun run smoke --home"):
        of_a_run.finished_run(tmp_path)


def test_without_a_browser_the_message_names_those_that_would_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(of_a_run.NoBrowserError, match="chromium, chromium-browser, google-chrome on the PATH"):
        of_a_run.take_screenshot(tmp_path / "page.html", tmp_path / "page.png", "light")


@pytest.mark.parametrize("theme", of_a_run.THEMES)
def test_the_screenshots_in_the_readme_have_the_size_and_the_brightness_of_their_theme(theme: str) -> None:
    _require_screenshot(of_a_run.FOLDER / f"report-{theme}.png", theme)


def _require_screenshot(path: Path, theme: str) -> None:
    with Image.open(path) as image:
        assert image.size == (round(of_a_run.WIDTH * of_a_run.SCALE), round(of_a_run.HEIGHT * of_a_run.SCALE))
        corner, colours = image.convert("L").getpixel((2, 2)), image.convert("RGB").getcolors(maxcolors=2**24)
    assert isinstance(corner, int)
    assert (corner > 200) if theme == "light" else (corner < 60)
    assert colours is not None
    assert len(colours) > 50, "an empty page"


@pytest.mark.ray
def test_one_command_rewrites_all_from_a_home(finished: Path, tmp_path: Path) -> None:
    try:
        of_a_run.browser()
    except of_a_run.NoBrowserError as error:
        pytest.skip(str(error))
    readme = tmp_path / "README.md"
    shutil.copy(of_a_run.README, readme)
    of_a_run.write(finished, readme, tmp_path)
    assert "registered as tiny/1" in readme.read_text(encoding="utf-8")
    for theme in of_a_run.THEMES:
        _require_screenshot(tmp_path / f"report-{theme}.png", theme)
