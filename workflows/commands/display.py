"""Terminal output of a run: one line per step, progress with rate and remaining time, and the total at the end."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from workflows.steps.journal import Event

_QUIET_SECONDS = 15.0
"""Minimum seconds between two progress lines if the output is not a terminal."""

_SHOWN_FIGURES = 4
"""Maximum number of figures shown per step."""

_SHOWN_STEPS = 4
"""Maximum number of steps whose share of the time is shown at the end."""

_MIN_SHARE = 0.01
"""Minimum share of the time with which a step is shown at the end."""

_WIDTH_OF_FILES = 160
"""Width of a line in characters if the output is not a terminal."""


def steady_console(stream: TextIO | None = None) -> Console:
    """A console on a duplicate of standard output, so that later redirections of file descriptor 1 do not affect it."""
    target = os.fdopen(os.dup((stream or sys.stdout).fileno()), "w", buffering=1)
    width = None if target.isatty() else _WIDTH_OF_FILES
    return Console(file=target, highlight=False, soft_wrap=True, width=width)


class Display:
    """Prints the events of a run. Use it as a context manager, and pass it to `listening`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            TextColumn("  {task.description:<22}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._first: dict[str, tuple[float, float]] = {}
        self._printed = time.monotonic()

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Print one event."""
        if event["event"] == "progress":
            self._show_progress(event)
            return
        self._end_progress(event.get("step", ""))
        if event["event"] in ("interrupted", "finished"):
            self._progress.stop()
        if event["event"] == "resumed":
            # rates and the remaining time count what this attempt has done
            self._first[event["step"]] = (event["time"], event["done"])
        if line := _line(event):
            self.console.print(line)
        if event["event"] in ("started", "resumed") and self.console.is_terminal:
            step = event["step"]
            self._tasks[step] = self._progress.add_task(step, total=None, state="")

    def _show_progress(self, event: Event) -> None:
        step, done, total = event["step"], event["done"], event["total"]
        started, base = self._first.setdefault(step, (event["time"], done))
        elapsed = event["time"] - started
        rate = f"{_count((done - base) / elapsed)} {event['unit']}/s" if elapsed > 0 and done > base else ""
        state = f"{_count(done)} of {_count(total)} {event['unit']}  {rate}"
        if step in self._tasks:
            self._progress.update(self._tasks[step], completed=done, total=total, state=state)
        elif not self.console.is_terminal and time.monotonic() - self._printed > _QUIET_SECONDS:
            self._printed = time.monotonic()
            remaining = f", {_seconds((total - done) * elapsed / (done - base))} left" if done > base else ""
            self.console.print(f"    {step}: {state}{remaining}")

    def _end_progress(self, step: str) -> None:
        if step in self._tasks:
            self._progress.remove_task(self._tasks.pop(step))


def _line(event: Event) -> str:
    match event["event"]:
        case "run" | "started" | "uses" | "finished" | "interrupted":
            return ""
        case "made":
            line = f"  [green]made[/]    {event['step']:<24}{_seconds(event['seconds']):>11}  {headline(event['figures'])}"
            return line + _notes(event["figures"])
        case "cached":
            line = f"  [cyan]cached[/]  {event['step']:<24}{'':>11}  {headline(event['figures'])}"
            return line + _notes(event["figures"])
        case "resumed":
            return f"  resumed {event['step']} from step {event['done']}"
        case "failed":
            return f"  [red]failed[/]  {event['step']}"
        case "registered":
            return f"  {'registered' if event['new'] else 'already registered'} as {event['model']}"
        case "points":
            return f"  {event['total'] - event['missing']} of {event['total']} training runs are cached"
        case "overhead":
            return (
                f"  {event['workers']} workers trained for {_seconds(event['core_seconds'])} in total within "
                f"{_seconds(event['wall_seconds'])}: {event['ratio']:.3f} s of worker time per second of training"
            )
        case "waiting":
            return f"  waiting: {event['why']}"
        case "hook_failed":
            return f"  warning: {event['message']}"
        case _:
            return f"  {event['event']} {event.get('step', '')}"


def _notes(figures: Mapping[str, Any]) -> str:
    """The warnings and notes in a step's figures, one line each, such as what was left out, or those of a plan."""
    warnings = "".join(f"\n            [yellow]warning:[/] {escape(warning)}" for warning in figures.get("warnings", ()))
    return warnings + "".join(f"\n            note: {escape(note)}" for note in figures.get("notes", ()))


def totals(events: Sequence[Event], wall_seconds: float) -> str:
    """How many steps were made and reused in which time, and the shares of the longest ones, in one line."""
    kinds = [event["event"] for event in events]
    made = sorted((event for event in events if event["event"] == "made"), key=lambda event: event["seconds"], reverse=True)
    shares = [(event["step"], event["seconds"] / wall_seconds) for event in made[:_SHOWN_STEPS]]
    longest = ", ".join(f"{step} {share:.0%}" for step, share in shares if share >= _MIN_SHARE)
    done = kinds.count("made") + kinds.count("cached")
    counts = f"{len(made)} of {done} steps made, the others cached, in {_seconds(wall_seconds)}"
    return f"{counts}: {longest}" if longest else counts


def orchestration_share(events: Sequence[Event], wall_seconds: float) -> float:
    """The fraction of the wall time during which no component was working."""
    return 1.0 - sum(event.get("component_seconds", 0.0) for event in events) / wall_seconds


def headline(figures: Mapping[str, Any]) -> str:
    """The first numbers and strings among the figures of a step, in one line."""
    plain = [(name, value) for name, value in figures.items() if isinstance(value, int | float | str)]
    return ", ".join(f"{name.replace('_', ' ')} {_count(value)}" for name, value in plain[:_SHOWN_FIGURES])


def _count(value: float | str) -> str:
    if isinstance(value, str | bool):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
