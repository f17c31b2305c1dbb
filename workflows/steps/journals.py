"""Finds the journals of runs: in this home, or in the store of a cluster, where pods put their events."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.files import write_text
from infra.settings import Settings
from workflows.steps.journal import DONE, Journal, find_journal

if TYPE_CHECKING:
    from infra.run_events import RunEvents


LATEST = "latest"
"""The name of the newest run of the kind that a command needs."""

BEGUN = (*DONE, "started", "failed")
"""Events of a step that has begun."""


def journal_of(
    settings: Settings, run: str, steps: tuple[str, ...] = (), kinds: tuple[str, ...] = DONE, *, make: str = "longrun run"
) -> Journal:
    """The journal of a run, by its id, a unique prefix of it, or `latest`; from a cluster if `settings` name a profile.

    With `steps`, `latest` is the newest run that has an event of these `kinds` of one of the steps. `make` is the command that
    makes such a run, for the error message.

    Raises:
        ConfigError: no run matches, or several do.
        StoreError: the cluster's store cannot be reached.
    """
    if run == LATEST and steps:
        return _newest(settings, steps, kinds, make)
    if not settings.profile:
        return find_journal(settings.runs, run)
    known = _events(settings.artifact_root).runs()
    matching = known[-1:] if run == "latest" else [name for name in known if name.startswith(run.removeprefix("r"))]
    if len(matching) != 1:
        recent, where = ", ".join(known[-3:]) or "none yet", f"of profile {settings.profile}"
        raise ConfigError(f"run {run!r} matches {len(matching)} runs {where}; allowed: latest, or a unique prefix of: {recent}")
    return _fetched(settings, matching[0])


def _newest(settings: Settings, steps: tuple[str, ...], kinds: tuple[str, ...], make: str) -> Journal:
    for journal in journals(settings):
        if any(journal.find(step, kinds) for step in steps):
            return journal
    where = f"of profile {settings.profile}" if settings.profile else f"in {settings.home}"
    done = "finished" if kinds == DONE else "begun"
    raise ConfigError(f"no run {where} has {done} step {' or '.join(steps)}; make one with: {make}")


def journals(settings: Settings) -> Iterator[Journal]:
    """All journals, newest first. Raises `StoreError` if a cluster's store cannot be reached."""
    if settings.profile:
        yield from (_fetched(settings, run) for run in reversed(_events(settings.artifact_root).runs()))
    elif settings.runs.is_dir():
        yield from map(Journal, sorted(settings.runs.iterdir(), reverse=True))


def _fetched(settings: Settings, run: str) -> Journal:
    return stored_journal(settings.artifact_root, run, settings.copies / "runs")


def stored_journal(root: str, run: str, folder: Path) -> Journal:
    """Download the journal of a run on a cluster from the store at `root` into `folder`; empty if the store has no such run.

    Raises:
        StoreError: the store cannot be reached.
    """
    lines = sorted(_events(root).lines(run), key=_time)
    journal = Journal(folder / run)
    journal.directory.mkdir(parents=True, exist_ok=True)
    write_text(journal.path, "".join(f"{line}\n" for line in lines))
    return journal


def _events(root: str) -> "RunEvents":
    # imported here, because the store's client takes 0.1 s to import
    from infra.run_events import RunEvents

    return RunEvents(root)


def _time(line: str) -> float:
    try:
        return float(json.loads(line)["time"])
    except (ValueError, KeyError, TypeError):
        return 0.0
