"""What became of a run, from its journal: state, duration, the model that came out, its main figure, and why it failed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from components.errors import single_line
from workflows.steps.journal import DONE, Event, Journal
from workflows.steps.lock import is_running

_MAIN_FIGURES = (("registration", "bits_per_byte"), ("pretraining", "bits_per_byte"), ("pretraining", "loss"))
"""Steps and their figures, of which a run's main figure is the first that the run has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """One run in a list of runs."""

    run: str
    """Its id."""
    recipe: str
    state: str
    """`submitted` or `refused` for a run on a cluster; `running`, `unfinished`, `finished`, `failed` or `interrupted` for one
    on this machine."""
    made: int
    """Number of steps that the run made."""
    cached: int
    """Number of steps that it reused."""
    started: float = 0.0
    """Unix time of its first event."""
    seconds: float = 0.0
    """From its first event to its end; of an unfinished run, to its newest event or training step."""
    result: str = ""
    """The registered model version, or else the last step that was made or reused."""
    figure: str = ""
    """Its main figure with its name: bits per byte of the registered model, else of pretraining, else the last step's first
    number."""
    failure: str = ""
    """Why it failed, in one line; empty if it did not fail."""
    changes: tuple[str, ...] = ()
    """What was set on the command line: FIELD=VALUE of each --set, --until and --fresh."""
    user: str = ""
    """Login name of who started it."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Its tags by key."""
    note: str = ""
    """The user's note on it."""

    @classmethod
    def of(cls, journal: Journal) -> Self:
        """The summary of the run with this journal."""
        events = journal.events()
        state, kinds = _state(events), [event["event"] for event in events]
        opened = next((event for event in events if "recipe" in event), {})
        started = events[0]["time"] if events else 0.0
        return cls(
            run=journal.name,
            recipe=opened.get("recipe", "?"),
            state="running" if state == "unfinished" and is_running(journal) else state,
            made=kinds.count("made"),
            cached=kinds.count("cached"),
            started=started,
            seconds=max(
                (event["time"] for event in (*events[-1:], *(_progress(journal) if state == "unfinished" else ()))),
                default=started,
            )
            - started,
            result=_result(events),
            figure=_main_figure(events),
            failure=_failure(events),
            changes=tuple(_changes(opened)),
            **{name: opened[name] for name in ("user", "tags", "note") if name in opened},
        )


def _state(events: Sequence[Event]) -> str:
    submitted = next((event["event"] for event in events if event["event"] in {"submitted", "refused"}), "")
    ended = _ended(events)
    if submitted or ended is None:
        return submitted or "unfinished"
    return "interrupted" if ended.get("interrupted") else "failed" if ended["failed"] else "finished"


def _progress(journal: Journal) -> Iterator[Event]:
    """When an unfinished run last added to a series: a long training has no other events."""
    return ({"time": series.stat().st_mtime} for series in journal.series("*").parent.glob("*.jsonl"))


def _ended(events: Sequence[Event]) -> Event | None:
    return next((event for event in reversed(events) if event["event"] == "finished"), None)


def _result(events: Sequence[Event]) -> str:
    registered = [event["model"] for event in events if event["event"] == "registered"]
    return str(registered[-1]) if registered else next((event["step"] for event in reversed(events) if _made(event)), "")


def _main_figure(events: Sequence[Event]) -> str:
    figures: dict[str, Mapping[str, Any]] = {event["step"]: event.get("figures", {}) for event in events if _made(event)}
    for step, name in _MAIN_FIGURES:
        if name in figures.get(step, {}):
            return _named(name, figures[step][name])
    last = next(reversed(figures.values()), {})
    return next((_named(name, value) for name, value in last.items() if _is_number(value)), "")


def _made(event: Event) -> bool:
    return event["event"] in DONE and not event["step"].startswith("check_")


def _named(name: str, value: float) -> str:
    return f"{name.replace('_', ' ')} {format(value, ',' if isinstance(value, int) else '.4g')}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _failure(events: Sequence[Event]) -> str:
    ended = _ended(events)
    return single_line(ended.get("message", "")) if ended and ended["failed"] else ""


def _changes(opened: Mapping[str, Any]) -> Iterator[str]:
    yield from opened.get("changes", ())
    if until := opened.get("until"):
        yield f"--until {until}"
    yield from (f"--fresh {step}" for step in opened.get("fresh", ()))


def duration(seconds: float) -> str:
    """A time in the two largest of its units, such as `2 h 05 min`."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if hours < 1:
        return f"{minutes} min {int(seconds % 60):02d} s"
    return f"{hours} h {minutes % 60:02d} min" if hours < 24 else f"{hours // 24} d {hours % 24:02d} h"
